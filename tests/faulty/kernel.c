/*
 * Exports the kernel's interface, healthy unless FAULT names one of its faults:
 *
 *     ctor     a cache links free objects through their first word though they have a constructor
 *     twice    a cache hands out one object again and again
 *     kzalloc  memory is not cleared
 *     pages    blocks are not aligned to their size
 *     vmalloc  hands out one area again and again
 *
 * kmalloc serves nobody who cannot wait, which is no fault.
 */
#include "base.h"

#include "allocators/kernel/kmem.h"

static void *fault(void *block, size_t size)
{
    (void)size;
    return block; /* malloc itself is healthy */
}

static bool has_fault(const char *name)
{
    return strcmp(FAULT, name) == 0;
}

struct kmem_cache {
    unsigned size;
    void (*ctor)(void *);
    void *free;
};

struct kmem_cache *kmem_cache_create(const char *name, unsigned size, unsigned align,
                                     slab_flags_t flags, void (*ctor)(void *))
{
    static struct kmem_cache cache;
    (void)name, (void)align, (void)flags;
    cache = (struct kmem_cache){.size = size, .ctor = ctor};
    return &cache;
}

/* The link of a free object lies behind it, or, wrongly, in it. */
static void *link_of(const struct kmem_cache *cache, void *object)
{
    return has_fault("ctor") ? object : (char *)object + cache->size;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
    void *object = cache->free;
    (void)gfp;
    if (object == NULL) {
        object = malloc(cache->size + sizeof(void *));
        if (object != NULL && cache->ctor != NULL)
            cache->ctor(object);
    } else if (!has_fault("twice")) {
        memcpy(&cache->free, link_of(cache, object), sizeof cache->free);
    }
    return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
    memcpy(link_of(cache, object), &cache->free, sizeof cache->free);
    cache->free = object;
}

void *kmalloc(size_t size, gfp_t gfp)
{
    return gfp & __GFP_DIRECT_RECLAIM ? malloc(size) : NULL;
}

void *kzalloc(size_t size, gfp_t gfp)
{
    void *object = kmalloc(size, gfp);
    return object != NULL ? memset(object, has_fault("kzalloc") ? 0x5a : 0, size) : NULL;
}

void *krealloc(const void *object, size_t size, gfp_t gfp)
{
    (void)gfp;
    return realloc((void *)object, size);
}

void kfree(const void *object)
{
    free((void *)object);
}

unsigned long __get_free_pages(gfp_t gfp, unsigned order)
{
    size_t size = PAGE_SIZE << order;
    (void)gfp;
    uintptr_t address = (uintptr_t)malloc(2 * size);
    if (address != 0 && !has_fault("pages"))
        address = (address + size - 1) & ~(size - 1);
    return address;
}

/* The pool is never given back. */
void free_pages(unsigned long address, unsigned order)
{
    (void)address, (void)order;
}

void *vmalloc(size_t size)
{
    static void *area;
    if (area == NULL || !has_fault("vmalloc"))
        area = malloc(size);
    return area;
}

void vfree(const void *address)
{
    (void)address;
}
