/* What the knob debug=1 sees besides; each child turns it on before the allocator starts. */
#include "slub_misuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

enum { BYTES = 1024, END = 1032 }; /* of an object; and of it with its red zone */
static size_t byte;

static void debug_write_byte(void)
{
    debug_on();
    hidden = slub_malloc(BYTES);
    if (byte >= BYTES)
        hidden[byte]++;
    slub_free(hidden);
    hidden[byte]++;
    for (int i = 0; i < 100; i++)
        (void)!slub_malloc(BYTES);
}

/* Wherever in a free object it is, and in the red zone behind it. */
void test_debug_sees_each_byte(void **state)
{
    static const size_t bytes[] = {0, 1, 2, 7, 8, 511, BYTES - 2, BYTES - 1, BYTES, END - 1};

    (void)state;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        struct ending e;

        byte = bytes[i];
        e = ending_of(debug_write_byte);
        assert_int_equal(signal_of(&e), SIGABRT);
        assert_non_null(strstr(e.said, byte < BYTES ? "written to after it was freed"
                                                    : "written past the end of an object"));
    }
}

enum { LARGE = 32000, TRIES = 300, TIMES_MEMSET = 12 };

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The shortest of many. */
static uint64_t time_of(void (*body)(void))
{
    uint64_t shortest = UINT64_MAX;

    for (int i = 0; i < TRIES; i++) {
        uint64_t start = now_ns(), took;

        body();
        took = now_ns() - start;
        shortest = took < shortest ? took : shortest;
    }
    return shortest;
}

static void fill(void)
{
    memset(hidden, 1, LARGE);
}

static void replace(void)
{
    slub_free(hidden);
    hidden = slub_malloc(LARGE);
}

static void debug_looks_fast(void)
{
    uint64_t filled, replaced;

    debug_on();
    hidden = slub_malloc(LARGE);
    filled = time_of(fill);
    replaced = time_of(replace);
    if (replaced > TIMES_MEMSET * filled)
        _exit(3);
}

/* Poison is looked at many bytes at a time. */
void test_debug_looks_fast(void **state)
{
    (void)state;
    assert_int_equal(ending_of(debug_looks_fast).status, 0);
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
