/* What the knob debug=1 sees besides; each child turns it on before the allocator starts. */
#include "slub_misuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"

/* Beside the knobs that the test was started with. */
static void debug_on(void)
{
    const char *given = getenv("HEAPMARK_SLUB");
    char knobs[200];

    snprintf(knobs, sizeof knobs, "%s%sdebug=1", given ? given : "", given && *given ? ":" : "");
    setenv("HEAPMARK_SLUB", knobs, 1);
}

static void debug_free_twice(void)
{
    void *other[40];

    debug_on();
    hidden = slub_malloc(100);
    for (int i = 0; i < 40; i++)
        other[i] = slub_malloc(100);
    slub_free(hidden);
    for (int i = 0; i < 40; i++)
        slub_free(other[i]);
    slub_free(hidden);
}

static void debug_cache_free_twice(void)
{
    struct kmem_cache *a;
    void *other;

    debug_on();
    a = kmem_cache_create("twice", 72, 0, SLAB_NO_SHEAVES, NULL);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    other = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden);
    kmem_cache_free(a, other);
    kmem_cache_free(a, hidden);
}

static void debug_write_past_end(void)
{
    debug_on();
    hidden = kmalloc(192, GFP_KERNEL);
    hidden[192] = 0;
    kfree(hidden);
}

static void debug_write_past_odd_end(void)
{
    struct kmem_cache *a;

    debug_on();
    a = kmem_cache_create("odd", 61, 0, 0, NULL);
    hidden = kmem_cache_zalloc(a, GFP_KERNEL);
    hidden[61] = 'x';
    kmem_cache_free(a, hidden);
}

static void debug_write_far_past_end(void)
{
    debug_on();
    hidden = slub_malloc(48);
    memset(hidden, 'x', 80);
    slub_free(hidden);
}

static void debug_write_after_free(void)
{
    debug_on();
    hidden = slub_malloc(1000);
    slub_free(hidden);
    hidden[999] = 'x';
    for (int i = 0; i < 2000; i++)
        (void)!slub_malloc(1000);
}

static void nothing(void *object)
{
    (void)object;
}

static void debug_write_past_constructed(void)
{
    struct kmem_cache *a;

    debug_on();
    a = kmem_cache_create("constructed", 64, 0, 0, nothing);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    memset(hidden, 'x', 64);
    kmem_cache_free(a, hidden); /* may write there before, and after */
    hidden[0] = 'y';
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    hidden[64] = 'x';
    kmem_cache_free(a, hidden);
}

static void debug_check_sees_it(void)
{
    debug_on();
    hidden = slub_malloc(64);
    hidden[64] = 'x';
    if (kmem_check() != -1)
        _exit(3);
}

const struct misuse misuse_debug[] = {
    {FAULT(debug_free_twice), "cache 'malloc-112': object was freed before: '0x"},
    {FAULT(debug_cache_free_twice), "cache 'twice': object was freed before: '0x"},
    {FAULT(debug_write_past_end), "cache 'kmalloc-192': written past the end of an object: '0x"},
    {FAULT(debug_write_past_odd_end), "cache 'odd': written past the end of an object: '0x"},
    {FAULT(debug_write_far_past_end), "cache 'malloc-48': written past the end of an object: '0x"},
    {FAULT(debug_write_after_free), "cache 'malloc-1024': written to after it was freed: '0x"},
    {FAULT(debug_write_past_constructed),
     "cache 'constructed': written past the end of an object: '0x"},
    {FINE(debug_check_sees_it), "cache 'malloc-64': written past the end of an object: '0x"},
    {0},
};
