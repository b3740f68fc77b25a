/*
 * kmalloc: general caches of 8 to 8192 bytes, in three types; above, blocks of pages. A cache is made by
 * the first call that may wait. Others before it, and everybody if there is no memory for it, get pages
 * instead: GFP_ATOMIC must not wait for a cache, nor __GFP_NOFAIL be refused for want of one.
 */
#include <string.h>

#include "../slub/slab.h"
#include "fault.h"

enum kmalloc_type { KMALLOC_NORMAL, KMALLOC_RECLAIM, KMALLOC_DMA, NR_KMALLOC_TYPES };

/* Index 1 and 2 are 96 and 192 bytes, any other n is 2^n. */
enum { KMALLOC_SHIFT_HIGH = 13 };

static struct kmem_cache *kmalloc_caches[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1];

static const char *const names[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1] = {
#define NAMES(type)                                                                         \
    {                                                                                       \
        NULL, type "96", type "192", type "8", type "16", type "32", type "64", type "128", \
            type "256", type "512", type "1k", type "2k", type "4k", type "8k"              \
    }
    NAMES("kmalloc-"),
    NAMES("kmalloc-rcl-"),
    NAMES("dma-kmalloc-"),
#undef NAMES
};

static const slab_flags_t type_flags[NR_KMALLOC_TYPES] = {0, SLAB_RECLAIM_ACCOUNT, SLAB_CACHE_DMA};

/*
 * By size in steps of 8 bytes. Comparisons would be fewer bytes, but sizes come in no order that a CPU could
 * predict. A kilobyte, of which a program's sizes touch a few lines.
 */
static const uint8_t size_index[KMALLOC_MAX_CACHE_SIZE / 8 + 1] = {
    [1] = 3,
    [2] = 4,
    [3 ... 4] = 5,
    [5 ... 8] = 6,
    [9 ... 12] = 1,
    [13 ... 16] = 7,
    [17 ... 24] = 2,
    [25 ... 32] = 8,
    [33 ... 64] = 9,
    [65 ... 128] = 10,
    [129 ... 256] = 11,
    [257 ... 512] = 12,
    [513 ... 1024] = 13,
};

/* `size` is 1 to KMALLOC_MAX_CACHE_SIZE. */
static inline unsigned kmalloc_index(size_t size)
{
    return size_index[(size + 7) / 8];
}

static unsigned index_size(unsigned index)
{
    return index == 1 ? 96 : index == 2 ? 192 : 1u << index;
}

static inline enum kmalloc_type kmalloc_type(gfp_t gfp)
{
    if (likely(!(gfp & (__GFP_DMA | __GFP_RECLAIMABLE))))
        return KMALLOC_NORMAL;
    return gfp & __GFP_DMA ? KMALLOC_DMA : KMALLOC_RECLAIM;
}

static struct kmem_cache *make_cache(enum kmalloc_type type, unsigned index)
{
    struct kmem_cache **at = &kmalloc_caches[type][index], *memory, *s;
    unsigned size = index_size(index);

    slub_start();
    memory = new_cache_memory();
    lock_take(&slab_mutex);
    s = *at;
    if (!s) {
        s = create_cache(memory, names[type][index], size, size & (size - 1) ? 8 : size,
                         type_flags[type] | SLAB_NO_MERGE, 0, size, NULL);
        memory = NULL;
        __atomic_store_n(at, s, __ATOMIC_RELEASE);
    }
    lock_drop(&slab_mutex);
    free_cache_memory(memory);
    return s;
}

/* NULL: there is none, and none can be made. */
static inline struct kmem_cache *kmalloc_slab(size_t size, gfp_t gfp)
{
    unsigned index = kmalloc_index(size);
    enum kmalloc_type type = kmalloc_type(gfp);
    struct kmem_cache *s = __atomic_load_n(&kmalloc_caches[type][index], __ATOMIC_ACQUIRE);

    if (likely(s != NULL))
        return s;
    return gfpflags_allow_blocking(gfp) ? make_cache(type, index) : NULL;
}

static void *kmalloc_large(size_t size, gfp_t gfp, int node)
{
    struct page *page;
    unsigned order = 0;

    if (size > KMALLOC_MAX_SIZE)
        return NULL;
    slub_start();
    if (node != NUMA_NO_NODE && (unsigned)node >= node_count())
        return NULL;
    while ((PAGE_SIZE << order) < size)
        order++;
    page = alloc_pages_node(node, (gfp & ~__GFP_HIGHMEM) | __GFP_COMP, order);
    if (!page)
        return NULL;
    slub_grew(page, gfp);
    return page_address(page);
}

void *kmalloc(size_t size, gfp_t gfp)
{
    struct kmem_cache *s;

    if (unlikely(size > KMALLOC_MAX_CACHE_SIZE))
        return kmalloc_large(size, gfp, NUMA_NO_NODE);
    if (unlikely(size == 0))
        return ZERO_SIZE_PTR;
    s = kmalloc_slab(size, gfp);
    return likely(s != NULL) ? kmem_cache_alloc(s, gfp) : kmalloc_large(size, gfp, NUMA_NO_NODE);
}

void *kmalloc_node(size_t size, gfp_t gfp, int node)
{
    struct kmem_cache *s;

    if (size > KMALLOC_MAX_CACHE_SIZE)
        return kmalloc_large(size, gfp, node);
    if (size == 0)
        return ZERO_SIZE_PTR;
    s = kmalloc_slab(size, gfp);
    return s ? kmem_cache_alloc_node(s, gfp, node) : kmalloc_large(size, gfp, node);
}

void *kzalloc(size_t size, gfp_t gfp)
{
    return kmalloc(size, gfp | __GFP_ZERO);
}

/* What is said of a pointer, by the function that was called with it. */
struct faults {
    const char *stranger, *freed, *interior;
};

#define FAULTS(function)                                                              \
    {                                                                                 \
        function ": not from kmalloc", function ": freed before, or never allocated", \
            function ": pointer into the middle of an object"                         \
    }

static const struct faults of_kfree = FAULTS("kfree"), of_ksize = FAULTS("ksize"),
                           of_krealloc = FAULTS("krealloc");

/* The block of pages that starts at `object`, or the end of the process. */
static struct page *large_page(const void *object, const struct faults *faults)
{
    size_t frame;
    unsigned state;

    if (!in_page_pool(object))
        fault(faults->stranger, object);
    frame = virt_to_frame(object);
    state = frame_state(frame);
    if (!frame_is_used(state))
        fault(faults->freed, object);
    if (frame_is_highmem(frame))
        fault(faults->stranger, object);
    if (!frame_starts(frame, state) || (uintptr_t)object % PAGE_SIZE)
        fault(faults->interior, object);
    return frame_to_page(frame);
}

static __attribute__((noinline)) void kfree_slow(void *object)
{
    struct slab *slab;

    if (ZERO_OR_NULL_PTR(object))
        return;
    slab = slab_of(object);
    if (likely(slab != NULL))
        slab_free_slow(slab->slab_cache, slab, object, GFP_FREE);
    else
        free_page_run(large_page(object, &of_kfree));
}

void kfree(const void *object)
{
    size_t cell;

    if (likely(fast_cell(object, &cell)) && percpu_put_fast(cell, (void *)object))
        return;
    kfree_slow((void *)object);
}

static size_t usable(const void *object, const struct faults *faults)
{
    struct slab *slab = slab_of(object);

    if (slab) {
        const struct kmem_cache *s = slab->slab_cache;

        check_object(s, slab, object, faults->interior);
        return s->debug ? s->object_size : s->ctor ? s->inuse : s->size;
    }
    return page_frames(large_page(object, faults)) << PAGE_SHIFT;
}

size_t ksize(const void *object)
{
    return ZERO_OR_NULL_PTR(object) ? 0 : usable(object, &of_ksize);
}

static void *resize(const void *object, size_t size, gfp_t gfp)
{
    size_t old;
    void *new;

    if (size == 0) {
        kfree(object);
        return ZERO_SIZE_PTR;
    }
    if (ZERO_OR_NULL_PTR(object))
        return kmalloc(size, gfp);
    old = usable(object, &of_krealloc);
    if (old >= size) {
        if (gfp & __GFP_ZERO)
            memset((char *)object + size, 0, old - size);
        return (void *)object;
    }
    new = kmalloc(size, gfp);
    if (!new)
        return NULL;
    memcpy(new, object, old);
    kfree(object);
    return new;
}

/* What it frees is freed in the context that `gfp` names. */
void *krealloc(const void *object, size_t size, gfp_t gfp)
{
    bool was = atomic_begin(gfp);
    void *new = resize(object, size, gfp);

    atomic_end(was);
    return new;
}
