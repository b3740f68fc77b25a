/* Of several pointers, or links, the one that is wrong is named. */
#include "slub_misuse.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kmem.h"
#include "slub/link.h"
#include "slub/node.h"

/* What it will be, says the child to its parent. */
static void **wrong_one;

/* A link overwritten after the free is noticed before it is followed. */
static void damaged_link(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    char *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
    *wrong_one = hidden = p;
    memset(hidden, 0x41, 64);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
}

/* So is one that leads to where no object starts. */
static void link_to_interior(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    char *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
    *wrong_one = hidden = p;
    set_link(a, hidden, q + 8);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
}

/*
 * Twelve objects side by side in one slab go back together, the fifth `at` bytes too high, or the
 * second twice.
 */
static void put_run(size_t at, bool twice)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[12];

    if (slabs_take(s, GFP_KERNEL, 0, 12, p) != 12)
        return;
    p[4] = (char *)p[4] + at;
    if (twice)
        p[2] = p[1];
    *wrong_one = p[twice ? 2 : 4];
    slabs_put(s, 12, p);
}

static void put_interior(void)
{
    put_run(8, false);
}

static void put_twice(void)
{
    put_run(0, true);
}

/* In the slab, where it was never handed out. */
static void put_beyond(void)
{
    put_run(13 * 48, false);
}

/* Of twelve objects one alone was still in use. */
static void put_more_than_in_use(void)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[12];

    if (slabs_take(s, GFP_KERNEL, 0, 12, p) != 12)
        return;
    slabs_put(s, 11, p);
    p[10] = p[5];
    *wrong_one = p[11];
    slabs_put(s, 2, p + 10);
}

static void put_foreign(void)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[2];

    if (slabs_take(s, GFP_KERNEL, 0, 1, p) != 1)
        return;
    *wrong_one = p[1] = kmalloc(48, GFP_KERNEL);
    slabs_put(s, 2, p);
}

const struct misuse misuse_named[] = {
    {FAULT(damaged_link), "free list of a slab is damaged at object"},
    {FAULT(link_to_interior), "free list of a slab is damaged at object"},
    {FAULT(put_interior), "free or kfree: pointer into the middle of an object"},
    {FAULT(put_twice), "free or kfree: object was freed before"},
    {FAULT(put_beyond), "object that was never handed out"},
    {FAULT(put_more_than_in_use), "free or kfree: object was freed before"},
    {FAULT(put_foreign), "free or kfree: not an object of its cache"},
    {0},
};

void test_the_wrong_one_is_named(void **state)
{
    const struct misuse *misuse = *state;
    struct ending e;
    char line[200];

    wrong_one =
        mmap(NULL, sizeof *wrong_one, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(wrong_one, MAP_FAILED);
    e = ending_of(misuse->run);
    snprintf(line, sizeof line, "slub: %s: '%p'\n", misuse->message, *wrong_one);
    assert_int_equal(signal_of(&e), misuse->signal);
    assert_string_equal(e.said, line);
    munmap(wrong_one, sizeof *wrong_one);
}
