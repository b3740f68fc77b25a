/* Sheaves: what lies around them, when they change hands, and when a cache gets larger ones. */
#include "support.h"

#include "kmem.h"
#include "os.h"
#include "slub/sheaf.h"
#include "slub/slab.h"

/* Time stands still unless a test says otherwise: how fast sheaves are exchanged is told by it. */
static uint64_t clock_ms = 1000;

static uint64_t told_ms(void)
{
    return clock_ms;
}

/* The main sheaf of this CPU; NULL: none. */
static struct sheaf *main_sheaf(const struct kmem_cache *s, void ***top)
{
    void *end = percpu_peek(PERCPU_PAIR_CELL(s->index) + offsetof(struct cpu_pair, second));

    *top = percpu_peek(PERCPU_PAIR_CELL(s->index));
    return end == PERCPU_NO_TOP ? NULL : end;
}

/*
 * Whatever malloc pops, what it looks at further down belongs to the sheaf, and can be prefetched; the
 * sheaf, of each size, fills its own object. Returns its bytes.
 */
static unsigned look_below(const struct kmem_cache *s)
{
    void **top, **memory;
    struct sheaf *sheaf = main_sheaf(s, &top);

    assert_non_null(sheaf);
    memory = sheaf_memory(sheaf);
    assert_int_equal(slab_of(memory)->slab_cache->object_size,
                     (char *)(sheaf + 1) - (char *)memory);
    assert_ptr_equal(sheaf_slots(sheaf)[-1], NULL);
    assert_in_range(top - PERCPU_AHEAD, memory, sheaf);
    for (unsigned ahead = 1; ahead <= PERCPU_AHEAD; ahead++)
        assert_true(!top[-(int)ahead] || slab_of(top[-(int)ahead]));
    return (unsigned)((char *)(sheaf + 1) - (char *)memory);
}

/* The sum of the bytes of sheaves that served when so many objects came and went. */
static unsigned reach_below(struct kmem_cache *s, unsigned objects)
{
    static char *p[20000];
    unsigned seen = 0;

    assert_in_range(objects, 1, sizeof(p) / sizeof(p[0]));
    for (unsigned i = 0; i < objects; i++) {
        assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
        seen |= look_below(s);
    }
    for (unsigned i = 0; i < objects; i++) {
        kmem_cache_free(s, p[i]);
        seen |= look_below(s);
    }
    assert_int_equal(kmem_check(), 0);
    return seen;
}

static void test_sheaves_reach_below_their_objects(void **state)
{
    unsigned seen = 0, all = (SHEAF_BYTES_MIN << SHEAF_CLASSES) - SHEAF_BYTES_MIN;
    struct kmem_cache *s = kmem_cache_create("deep", 48, 0, SLAB_NO_MERGE, NULL);

    (void)state;
    /* They grow as objects come back; fresh ones come a page at a time, and do not fill them. */
    for (int round = 0; s->path == PATH_SHEAF && round < 20 && seen != all; round++)
        seen |= reach_below(s, 20000);
    assert_int_equal(seen, s->path == PATH_SHEAF ? all : 0);
    kmem_cache_destroy(s);
}

/*
 * Between two sheaves, one full and one empty, allocations and frees go to and fro without a change of
 * sheaves for each: what was freed last came along to the other one, but not all of it.
 */
static void test_no_swap_for_each_call_at_the_border(void **state)
{
    enum { OBJECTS = 5000, TO_AND_FRO = 100, AT_ONCE = 4 };
    struct kmem_cache *s = kmem_cache_create("border", 64, 0, SLAB_NO_MERGE, NULL);
    static char *p[OBJECTS];
    unsigned changes = 0;
    struct sheaf *was = NULL, *now;
    void **top, *some[AT_ONCE];

    (void)state;
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (unsigned i = 0; i < OBJECTS; i++) {
        kmem_cache_free(s, p[i]);
        /* Wherever this is: some go out and in again. */
        for (unsigned n = 0; n < TO_AND_FRO; n++) {
            for (unsigned k = 0; k < AT_ONCE; k++)
                assert_non_null(some[k] = kmem_cache_alloc(s, GFP_KERNEL));
            changes += (now = main_sheaf(s, &top)) != was;
            was = now;
            for (unsigned k = AT_ONCE; k-- > 0;)
                kmem_cache_free(s, some[k]);
            changes += (now = main_sheaf(s, &top)) != was;
            was = now;
        }
    }
    if (s->path == PATH_SHEAF)
        assert_in_range(changes, 1, 100);
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(s);
}

/*
 * Once sheaves have grown, batches much smaller than they are stay in one, whatever they were before: a
 * small sheaf from the beginning does not go on taking its turns.
 */
static void changes_end(unsigned batch)
{
    enum { GROWING = 3000, GROWN = 100 };
    struct kmem_cache *s = kmem_cache_create("grown", 64, 0, SLAB_NO_MERGE, NULL);
    struct sheaf *was = NULL, *now;
    unsigned changes = 0;
    void **top, *p[128];

    for (unsigned round = 0; round < GROWING + GROWN; round++) {
        for (unsigned i = 0; i < batch; i++)
            assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
        changes += round > GROWING && s->path == PATH_SHEAF && (now = main_sheaf(s, &top)) != was;
        for (unsigned i = 0; i < batch; i++)
            kmem_cache_free(s, p[i]);
        was = s->path == PATH_SHEAF ? main_sheaf(s, &top) : NULL;
    }
    if (changes)
        fail_msg("in batches of %u, %u changes of sheaves", batch, changes);
    kmem_cache_destroy(s);
}

static void test_no_swap_for_each_batch(void **state)
{
    (void)state;
    for (unsigned batch = 5; batch <= 125; batch += 8)
        changes_end(batch);
}

/* Takes two sheaves out of the barn and brings them back, `rounds` times; a millisecond for so many calls (0: none). */
static void exchange(struct kmem_cache *s, unsigned rounds, unsigned calls_each_ms)
{
    static void *p[3000];
    unsigned calls = 0;

    while (rounds-- > 0) {
        unsigned batch = 2 * sheaf_class_capacity(s->sheaf_class) + 1;

        assert_in_range(batch, 1, sizeof p / sizeof p[0]);
        for (unsigned i = 0; i < batch; i++) {
            clock_ms += calls_each_ms && ++calls % calls_each_ms == 0;
            assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
        }
        for (unsigned i = 0; i < batch; i++) {
            clock_ms += calls_each_ms && ++calls % calls_each_ms == 0;
            kmem_cache_free(s, p[i]);
        }
    }
}

/*
 * Sheaves grow with exchanges that come fast, not with time. The larger the objects, the faster they must come, and
 * the more of them it takes.
 */
static void test_growth_takes_fast_exchanges(void **state)
{
    static const unsigned sizes[] = {64, 500, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("rate", sizes[i], 0, SLAB_NO_MERGE, NULL);
        unsigned smallest = sheaf_class_capacity(0);

        if (s->path == PATH_SHEAF) {
            exchange(s, 1000, smallest / 4);
            assert_int_equal(s->sheaf_class, 0);
            exchange(s, 1000, smallest * 3);
            assert_int_equal(s->sheaf_class != 0, sizes[i] == 64);
            if (sizes[i] != 64) {
                exchange(s, 2, 0);
                assert_int_equal(s->sheaf_class, 0);
            }
            exchange(s, 1000, 0);
            assert_int_equal(s->sheaf_class, s->sheaf_class_max);
        }
        kmem_cache_destroy(s);
    }
    assert_int_equal(kmem_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheaves_reach_below_their_objects),
        cmocka_unit_test(test_no_swap_for_each_call_at_the_border),
        cmocka_unit_test(test_no_swap_for_each_batch),
        cmocka_unit_test(test_growth_takes_fast_exchanges),
    };

    slub_start();
    kmem_os.now_ms = told_ms;
    stay_on_this_cpu();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
