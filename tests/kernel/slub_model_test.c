/*
 * Caches of random shape, random operations on them, every object's bytes compared, everything
 * checked on the way.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmem.h"
#include "page/pool.h"
#include "slub/slub.h"

enum { CACHES = 6, SLOTS = 600, CTOR_BYTE = 0x5a };

struct object {
    unsigned char *at;
    unsigned char seed;
};

struct model {
    struct kmem_cache *cache;
    unsigned size;
    unsigned align;
    bool ctor;
    size_t live;
    struct object object[SLOTS];
};

static struct model models[CACHES];
static uint64_t state_of_dice = 4101842887655102017u;

static uint64_t dice(void)
{
    return next_random(&state_of_dice);
}

/* A constructor is not told which cache calls it: one for each. */
#define CONSTRUCTOR(i)                             \
    static void construct##i(void *object)         \
    {                                              \
        memset(object, CTOR_BYTE, models[i].size); \
    }
CONSTRUCTOR(0)
CONSTRUCTOR(1)
CONSTRUCTOR(2)
CONSTRUCTOR(3)
CONSTRUCTOR(4)
CONSTRUCTOR(5)

static void (*const constructors[CACHES])(void *) = {construct0, construct1, construct2,
                                                     construct3, construct4, construct5};

static void create(struct model *m)
{
    static const slab_flags_t flags[] = {0, SLAB_HWCACHE_ALIGN, SLAB_RECLAIM_ACCOUNT, SLAB_NO_MERGE,
                                         SLAB_NO_SHEAVES};

    memset(m, 0, sizeof *m);
    m->size = 1 + (unsigned)(dice() % (dice() % 4 ? 300 : 9000));
    m->align = dice() % 3 ? 0 : 8u << dice() % 6;
    m->ctor = dice() % 3 == 0;
    m->cache = kmem_cache_create("model", m->size, m->align, flags[dice() % 5],
                                 m->ctor ? constructors[m - models] : NULL);
    assert_non_null(m->cache);
    assert_true(kmem_cache_size(m->cache) >= m->size);
}

static void verify_byte(const struct model *m, const unsigned char *at, int expected)
{
    for (unsigned i = 0; i < m->size; i++)
        if (at[i] != (unsigned char)expected) {
            fprintf(stderr, "object %p of %u bytes: byte %u is %u, not %d\n", (void *)at, m->size,
                    i, at[i], expected);
            abort();
        }
}

/* A constructed object comes as it was constructed or given back. */
static void take_in(struct model *m, unsigned char *at, bool zeroed)
{
    struct object *o = m->object;

    while (o->at)
        o++;
    assert_int_equal((uintptr_t)at % (m->align ? m->align : 8), 0);
    if (zeroed)
        verify_byte(m, at, 0);
    else if (m->ctor)
        verify_byte(m, at, CTOR_BYTE);
    *o = (struct object){at, (unsigned char)dice()};
    memset(at, o->seed, m->size);
    m->live++;
}

static unsigned char *let_go(struct model *m)
{
    struct object *o;
    unsigned char *at;

    do
        o = &m->object[dice() % SLOTS];
    while (!o->at);
    at = o->at;
    verify_byte(m, at, o->seed);
    if (m->ctor)
        memset(at, CTOR_BYTE, m->size);
    o->at = NULL;
    m->live--;
    return at;
}

static void alloc_one(struct model *m)
{
    bool zero = !m->ctor && dice() % 3 == 0;
    int node = (int)(dice() % node_count());

    if (zero)
        take_in(m, kmem_cache_zalloc(m->cache, GFP_KERNEL), true);
    else if (dice() % 4 == 0)
        take_in(m, kmem_cache_alloc_node(m->cache, GFP_KERNEL, node), false);
    else
        take_in(m, kmem_cache_alloc(m->cache, GFP_KERNEL), false);
}

static void bulk(struct model *m)
{
    size_t n = 1 + dice() % 100;
    void *p[100];

    if (m->live + n <= SLOTS) {
        assert_int_equal(kmem_cache_alloc_bulk(m->cache, GFP_KERNEL, n, p), n);
        for (size_t i = 0; i < n; i++)
            take_in(m, p[i], false);
    } else {
        for (size_t i = 0; i < n; i++)
            p[i] = let_go(m);
        kmem_cache_free_bulk(dice() % 2 ? m->cache : NULL, n, p);
    }
}

static void recreate(struct model *m)
{
    while (m->live)
        kmem_cache_free(m->cache, let_go(m));
    kmem_cache_destroy(m->cache);
    create(m);
}

static void step(void)
{
    struct model *m = &models[dice() % CACHES];
    unsigned kind = dice() % 64;

    if (kind == 0)
        kmem_cache_shrink(m->cache);
    else if (kind == 1 && dice() % 8 == 0)
        recreate(m);
    else if (kind < 6)
        bulk(m);
    else if (m->live == SLOTS || (m->live && kind % 2))
        kmem_cache_free(m->cache, let_go(m));
    else
        alloc_one(m);
}

static void test_random_operations(void **state)
{
    (void)state;
    for (int i = 0; i < CACHES; i++)
        create(&models[i]);
    for (int i = 0; i < 40000; i++) {
        step();
        if (i % 500 == 0)
            assert_int_equal(kmem_check(), 0);
    }
    for (int i = 0; i < CACHES; i++) {
        while (models[i].live)
            kmem_cache_free(models[i].cache, let_go(&models[i]));
        kmem_cache_destroy(models[i].cache);
    }
    assert_int_equal(kmem_check(), 0);
}

/* A cache that is gone has given back every page. */
static void test_destroy_gives_everything_back(void **state)
{
    struct page_stats before, after;
    void *p[3000];
    struct kmem_cache *s;

    (void)state;
    for (int round = 0; round < 2; round++) { /* the first leaves the sheaves' slabs behind */
        slub_shrink_all();
        kmem_pages_stats(&before);
        s = kmem_cache_create("gone", 1000, 0, SLAB_NO_MERGE, NULL);
        for (int i = 0; i < 3000; i++)
            p[i] = kmem_cache_alloc(s, GFP_KERNEL);
        for (int i = 0; i < 3000; i++)
            kmem_cache_free(s, p[i * 7 % 3000]);
        kmem_cache_destroy(s);
        slub_shrink_all();
        kmem_pages_stats(&after);
    }
    assert_int_equal(after.used_bytes - after.cached_bytes,
                     before.used_bytes - before.cached_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_destroy_gives_everything_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
