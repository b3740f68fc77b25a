#include "large.h"

#include <stdint.h>

#include "classes.h"
#include "fault.h"
#include "mapped.h"

static unsigned order_of(size_t bytes)
{
    return bytes <= PAGE_SIZE ? 0 : 64 - PAGE_SHIFT - (unsigned)__builtin_clzl(bytes - 1);
}

void *large_alloc(size_t bytes, size_t align, bool zero)
{
    size_t block = bytes > align ? bytes : align;

    slub_start();
    if (block <= MALLOC_PAGES_MAX) {
        gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY | (zero ? __GFP_ZERO : 0);
        struct page *page = alloc_pages(gfp, order_of(block));

        if (page)
            return page_address(page);
    }
    return mapped_alloc(bytes, align);
}

/* The block of pages that starts at `memory`; aborts if it is in the pool and starts none. */
static struct page *block_at(const void *memory, const char *wrong)
{
    size_t frame = virt_to_frame(memory);
    unsigned state = frame_state(frame);

    if (!frame_is_used(state))
        fault("free: freed before, or never allocated", memory);
    if ((uintptr_t)memory % PAGE_SIZE || frame_head(frame, state) != frame)
        fault(wrong, memory);
    return frame_to_page(frame);
}

void large_free(void *memory)
{
    static const char interior[] = "free: pointer into the middle of an object";
    struct page *page;

    if (!in_page_pool(memory)) {
        if (!mapped_free(memory))
            fault("free: not from malloc, or freed before", memory);
        return;
    }
    page = block_at(memory, interior);
    __free_pages(page, page_order(page));
}

size_t large_size(const void *memory, const char *wrong)
{
    size_t bytes;

    if (in_page_pool(memory))
        return PAGE_SIZE << page_order(block_at(memory, wrong));
    bytes = mapped_size(memory);
    if (!bytes)
        fault(wrong, memory);
    return bytes;
}

void *large_resize(void *memory, size_t bytes)
{
    if (in_page_pool(memory) || bytes <= MALLOC_PAGES_MAX)
        return NULL;
    return mapped_resize(memory, bytes);
}
