/* Pages under the names that programs call. */
#include "../kmem.h"
#include "page.h"

unsigned long __get_free_pages(gfp_t gfp, unsigned order)
{
    struct page *page = kmem_alloc_pages(gfp, order);

    return page ? (unsigned long)page_address(page) : 0;
}

unsigned long get_zeroed_page(gfp_t gfp)
{
    return __get_free_pages(gfp | __GFP_ZERO, 0);
}

void free_pages(unsigned long address, unsigned order)
{
    if (address)
        __free_pages(virt_to_page((void *)address), order);
}

struct page *kmem_alloc_pages(gfp_t gfp, unsigned order)
{
    pages_start_once();
    return alloc_pages(gfp, order);
}

void kmem_free_pages(struct page *page, unsigned order)
{
    __free_pages(page, order);
}

struct page *kmem_virt_to_page(const void *address)
{
    return virt_to_page(address);
}

void *kmem_page_address(const struct page *page)
{
    return page_address(page);
}
