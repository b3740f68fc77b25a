/* Pointers that cannot be freed: freed before, into the middle of an object, another's. */
#include "slub_misuse.h"

#include "kmem.h"
#include "malloc/slub_malloc.h"

/* ---- freed before ---------------------------------------------------------------------------- */

static void kfree_twice(void)
{
    hidden = kmalloc(100, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden);
}

static void kfree_twice_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden);
}

static void kfree_never_allocated(void)
{
    hidden = kmalloc(3 << 20, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden + (1 << 20));
}

static void cache_free_twice(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden);
    kmem_cache_free(a, hidden);
}

/* Where no sheaf is in front of the slabs, a free object is known by its link, whatever was freed since. */
static void cache_free_twice_with_another_between(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL); /* without which the slab's count would tell */
    kmem_cache_free(a, p);
    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
}

static void bulk_free_twice(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 72, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[2];

    p[0] = p[1] = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free_bulk(a, 2, p);
}

static void free_twice(void)
{
    hidden = slub_malloc(100);
    slub_free(hidden);
    slub_free(hidden);
}

static void free_mapped_twice(void)
{
    hidden = slub_malloc((size_t)40 << 20);
    slub_free(hidden);
    slub_free(hidden);
}

/* ---- never handed out ------------------------------------------------------------------------ */

static void cache_free_never_handed_out(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden + (size_t)20 * 64);
}

static void ksize_never_handed_out(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    went_on((void *)ksize(hidden + (size_t)20 * 64));
}

static void ksize_twice_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden);
    went_on((void *)ksize(hidden));
}

static void krealloc_twice_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden);
    hidden = krealloc(hidden, 200000, GFP_KERNEL);
}

/* ---- in bulk --------------------------------------------------------------------------------- */

/* Without a cache, all that kfree() takes. */
static void bulk_free_of_all(void)
{
    void *p[] = {kmalloc(100000, GFP_KERNEL), NULL, kmalloc(100, GFP_KERNEL),
                 kmalloc(0, GFP_KERNEL)};

    kmem_cache_free_bulk(NULL, 4, p);
    if (kmem_check() == 0)
        went_on(p);
}

static void bulk_free_nothing(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 72, 0, SLAB_NO_MERGE, NULL);
    void *p[2] = {kmem_cache_alloc(a, GFP_KERNEL), NULL};

    kmem_cache_free_bulk(a, 2, p);
}

/* ---- into the middle of an object ------------------------------------------------------------ */

static void kfree_interior(void)
{
    hidden = kmalloc(100, GFP_KERNEL);
    kfree(hidden + 8);
}

static void kfree_interior_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden + 4096);
}

static void krealloc_interior(void)
{
    hidden = kmalloc(100, GFP_KERNEL);
    hidden = krealloc(hidden + 8, 1000, GFP_KERNEL);
}

static void krealloc_interior_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    hidden = krealloc(hidden + 4096, 1000, GFP_KERNEL);
}

static void kfree_interior_within_page(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden + 8);
}

static void ksize_interior_within_page(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    went_on((void *)ksize(hidden + 8));
}

static void cache_free_interior(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 72, 0, SLAB_NO_MERGE, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden + 16);
}

/* By the fast path of free: its sheaf has room and holds something else. */
static void free_interior_of(size_t bytes, size_t at)
{
    char *first = slub_malloc(bytes);

    hidden = slub_malloc(bytes);
    slub_free(first);
    slub_free(hidden + at);
}

static void free_interior_48(void)
{
    free_interior_of(48, 16);
}

static void free_interior_64(void)
{
    free_interior_of(64, 16);
}

static void free_interior_112(void)
{
    free_interior_of(112, 96);
}

static void free_interior_1792(void)
{
    free_interior_of(1792, 1024);
}

static void free_unaligned(void)
{
    free_interior_of(64, 1);
}

static void free_interior_within_page(void)
{
    hidden = slub_malloc(100000);
    slub_free(hidden + 16);
}

static void realloc_interior_within_page(void)
{
    hidden = slub_malloc(100000);
    went_on(slub_realloc(hidden + 16, 200000));
}

static void usable_size_interior_within_page(void)
{
    hidden = slub_malloc(100000);
    went_on((void *)slub_malloc_usable_size(hidden + 16));
}

/* ---- of another cache, or of nobody ---------------------------------------------------------- */

static void kfree_stack(void)
{
    char here[64];

    hidden = kmalloc(1, GFP_KERNEL);
    hidden = here;
    kfree(hidden);
}

/* A frame of vmalloc(), at its address in the pool. */
static void kfree_frame_of_vmalloc(void)
{
    hidden = kmem_page_address(vmalloc_to_page(vmalloc(PAGE_SIZE)));
    kfree(hidden);
}

static void free_frame_of_vmalloc(void)
{
    hidden = kmem_page_address(vmalloc_to_page(vmalloc(PAGE_SIZE)));
    slub_free(hidden);
}

static void kfree_huge_block_of_vmalloc(void)
{
    hidden = kmem_page_address(vmalloc_to_page(vmalloc(PAGE_SIZE << 9)));
    kfree(hidden);
}

/* kmalloc() takes nothing there, whoever asks. */
static void kfree_from_highuser(void)
{
    hidden = kmalloc(100000, GFP_HIGHUSER);
    kfree(hidden);
    went_on("");
}

static void wrong_cache(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *b = kmem_cache_create("b", 64, 0, SLAB_NO_MERGE, NULL);

    kmem_cache_free(b, kmem_cache_alloc(a, GFP_KERNEL));
}

static void free_pages_of_a_slab(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 128, 0, SLAB_NO_MERGE, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    free_pages((unsigned long)hidden & -4096ul, 0);
}

static void free_stack(void)
{
    char here[64];

    hidden = slub_malloc(1);
    hidden = here;
    slub_free(hidden);
}

static void realloc_stack(void)
{
    char here[64];

    hidden = slub_malloc(1);
    hidden = here;
    hidden = slub_realloc(hidden, 100);
}

const struct misuse misuse_pointers[] = {
    {FAULT(kfree_twice), "slub: kfree or kmem_cache_free: object was freed before"},
    {FAULT(kfree_twice_large), "kfree: freed before, or never allocated"},
    {FAULT(kfree_never_allocated), "kfree: freed before, or never allocated"},
    {FAULT(cache_free_twice), "freed before"},
    {FAULT(cache_free_twice_with_another_between), "freed before"},
    {FAULT(bulk_free_twice), "freed before"},
    {FAULT(free_twice), "slub: free: object was freed before"},
    {FAULT(free_mapped_twice), "free: not from malloc, or freed before"},
    {FAULT(cache_free_never_handed_out), "object that was never handed out"},
    {FAULT(ksize_never_handed_out), "object that was never handed out"},
    {FAULT(ksize_twice_large), "slub: ksize: freed before, or never allocated"},
    {FAULT(krealloc_twice_large), "slub: krealloc: freed before, or never allocated"},
    {FAULT(krealloc_interior), "slub: krealloc: pointer into the middle of an object"},
    {FAULT(krealloc_interior_large), "slub: krealloc: pointer into the middle of an object"},
    {FAULT(bulk_free_nothing), "kmem_cache_free: not an object of a cache"},
    {FINE(bulk_free_of_all), "slub: went on"},
    {FAULT(kfree_interior), "slub: kfree or kmem_cache_free: pointer into the middle of an object"},
    {FAULT(kfree_interior_large), "pointer into the middle of an object"},
    {FAULT(kfree_interior_within_page), "kfree: pointer into the middle of an object"},
    {FAULT(ksize_interior_within_page), "pointer into the middle of an object"},
    {FAULT(cache_free_interior), "pointer into the middle of an object"},
    {FAULT(free_interior_48), "pointer into the middle of an object"},
    {FAULT(free_interior_64), "pointer into the middle of an object"},
    {FAULT(free_interior_112), "pointer into the middle of an object"},
    {FAULT(free_interior_1792), "pointer into the middle of an object"},
    {FAULT(free_unaligned), "slub: free: pointer into the middle of an object"},
    {FAULT(free_interior_within_page), "free: pointer into the middle of an object"},
    {FAULT(realloc_interior_within_page), "realloc: not from malloc, or freed before"},
    {FAULT(usable_size_interior_within_page), "malloc_usable_size: not from malloc, or freed"},
    {FAULT(kfree_stack), "kfree: not from kmalloc"},
    {FAULT(kfree_frame_of_vmalloc), "kfree: not from kmalloc"},
    {FAULT(free_frame_of_vmalloc), "free: not from malloc"},
    {FAULT(kfree_huge_block_of_vmalloc), "kfree: not from kmalloc"},
    {FINE(kfree_from_highuser), "went on"},
    {FAULT(wrong_cache), "kmem_cache_free: object of another cache"},
    {FAULT(free_pages_of_a_slab), "__free_pages(): page of a slab in use"},
    {FAULT(free_stack), "free: not from malloc, or freed before"},
    {FAULT(realloc_stack), "realloc: not from malloc, or freed before"},
    {0},
};
