/* What lies idle in sheaves goes back to its slabs when the process grows, and what is in use does not. */
#include "support.h"

#include <string.h>

#include "kmem.h"
#include "os.h"
#include "malloc/large.h"
#include "malloc/slub_malloc.h"
#include "slub/slub.h"

enum { OBJECTS = 20000, GROWN = 30000 };

static void *objects[OBJECTS], *grown[GROWN];

static size_t slabs(const struct kmem_cache *s)
{
    size_t n = 0;

    for (unsigned node = 0; node < node_count(); node++)
        n += s->node[node]->nr_slabs;
    return n;
}

static size_t empty_slabs(const struct kmem_cache *s)
{
    size_t n = 0;

    for (unsigned node = 0; node < node_count(); node++)
        n += s->node[node]->nr_empty;
    return n;
}

/* What is free of it lies in a CPU's sheaf alone, and keeps its slab from being empty. */
static void use_a_few(struct kmem_cache *s)
{
    void *p[3];

    for (int i = 0; i < 3; i++)
        assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (int i = 0; i < 3; i++)
        kmem_cache_free(s, p[i]);
    assert_int_equal(slabs(s), 1);
    assert_int_equal(empty_slabs(s), 0);
}

/* Takes all of them out of wherever they are, and frees them again. */
static void use(struct kmem_cache *s)
{
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = kmem_cache_alloc(s, GFP_KERNEL);
        assert_non_null(objects[i]);
    }
    for (int i = 0; i < OBJECTS; i++)
        kmem_cache_free(s, objects[i]);
}

static void test_idle_objects_go_back(void **state)
{
    struct kmem_cache *idle = kmem_cache_create("idle", 48, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *busy = kmem_cache_create("busy", 80, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *growing = kmem_cache_create("growing", 256, 0, SLAB_NO_MERGE, NULL);
    size_t idle_kept, busy_kept;

    (void)state;
    use(idle);
    idle_kept = slabs(idle);
    use(busy);
    busy_kept = slabs(busy);
    /* Nothing is given back just because it is free. */
    assert_true(idle_kept > OBJECTS * 48 / PAGE_SIZE / 2);
    assert_true(busy_kept > OBJECTS * 80 / PAGE_SIZE / 2);
    for (int i = 0; i < GROWN; i++) {
        grown[i] = kmem_cache_alloc(growing, GFP_KERNEL);
        assert_non_null(grown[i]);
        memset(grown[i], i, 256);
        if (i % 500 == 0) { /* more often than is looked for what is idle */
            assert_int_equal(slabs(busy), busy_kept);
            use(busy);
            busy_kept = slabs(busy);
        }
    }
    assert_in_range(slabs(idle), 1, idle_kept / 2);
    for (int i = 0; i < GROWN; i++) {
        assert_int_equal(((unsigned char *)grown[i])[255], (unsigned char)i);
        kmem_cache_free(growing, grown[i]);
    }
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(idle);
    kmem_cache_destroy(busy);
    kmem_cache_destroy(growing);
    assert_int_equal(kmem_check(), 0);
}

/*
 * A block that grows where it lies is growth as well. Each is cut out of 256 pages, so that what lies behind
 * was never touched, and is one piece: the cache's slabs take one after the other, not a little of each.
 */
static void test_growth_in_place(void **state)
{
    enum { BLOCKS = 24, CUT = 192, WHOLE = 256, GREW_MIN = 12 };
    struct kmem_cache *idle = kmem_cache_create("idle", 48, 0, SLAB_NO_MERGE, NULL);
    char *block[BLOCKS];
    size_t kept, grew = 0;

    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(block[i] = slub_malloc(CUT * PAGE_SIZE));
    use(idle);
    kept = slabs(idle);
    for (int i = 0; i < BLOCKS; i++)
        grew += large_resize(block[i], WHOLE * PAGE_SIZE) != NULL;
    assert_in_range(grew, GREW_MIN, BLOCKS);
    assert_in_range(slabs(idle), 1, kept / 2);
    for (int i = 0; i < BLOCKS; i++)
        slub_free(block[i]);
    kmem_cache_destroy(idle);
    kmem_pages_release(0); /* or else the next to grow would find memory that is present */
    assert_int_equal(kmem_check(), 0);
}

static uint64_t clock_ms;

static uint64_t told_ms(void)
{
    return clock_ms;
}

/* Swaps of sheaves, for seconds: enough to see that, and no growth. */
static void swap_sheaves(struct kmem_cache *s, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        clock_ms += 1000;
        for (int j = 0; j < 10; j++)
            use(s);
    }
}

/* In a process that does not grow, time tells what is idle: of sheaves, and of empty slabs that are kept. */
static void test_idle_objects_go_back_in_time(void **state)
{
    struct kmem_cache *idle = kmem_cache_create("idle", 48, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *direct = kmem_cache_create("direct", 512, 0, SLAB_NO_SHEAVES, NULL);
    struct kmem_cache *busy = kmem_cache_create("busy", 80, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *few = kmem_cache_create("few", 96, 0, SLAB_NO_MERGE, NULL);
    size_t kept, busy_kept;

    (void)state;
    clock_ms = os_now_ms() + 20000;
    kmem_os.now_ms = told_ms;
    use(direct); /* first: it grows most, and has the others give back what they have */
    use(busy);
    use(idle);
    kept = slabs(idle);
    assert_true(kept > OBJECTS * 48 / PAGE_SIZE / 2);
    busy_kept = slabs(busy);
    assert_true(empty_slabs(direct) > 0);
    use_a_few(few);
    swap_sheaves(busy, 4);
    assert_int_equal(slabs(idle), kept);
    swap_sheaves(busy, 12);
    assert_in_range(slabs(idle), 1, kept / 2);
    assert_int_equal(empty_slabs(direct), 0);
    assert_int_equal(empty_slabs(few), slabs(few));
    assert_in_range(slabs(busy), busy_kept / 2, OBJECTS * 80 / PAGE_SIZE + 10);
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(idle);
    kmem_cache_destroy(direct);
    kmem_cache_destroy(few);
    kmem_cache_destroy(busy);
    assert_int_equal(kmem_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_in_place), /* first, as it needs memory never touched */
        cmocka_unit_test(test_idle_objects_go_back),
        cmocka_unit_test(test_idle_objects_go_back_in_time), /* last: its clock stays */
    };

    kmem_config.barn = 64 * MIB; /* before the start: room for all, of however many barns */
    stay_on_this_cpu();          /* or else sheaves would stay behind on another */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
