/*
 * Random operations against the model, the whole heap checked every few hundred of them. The knobs
 * come from the environment: the build runs this program once for each variant, each with sequences of
 * its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model.h"
#include "ptmalloc.h"

#define SLOTS                1500
#define STEPS_BETWEEN_CHECKS 300

static struct block blocks[SLOTS];

static void run(uint64_t seed, size_t steps, size_t slots, size_t max_bytes)
{
    struct model m;

    model_start(&m, seed, blocks, slots);
    m.max_bytes = max_bytes;
    for (size_t i = 0; i < steps; i++) {
        model_step(&m);
        if (i % STEPS_BETWEEN_CHECKS == 0)
            assert_int_equal(ptm_check(), 0);
        if (model_random(&m) % 4096 == 0)
            ptm_malloc_trim(model_random(&m) % 65536);
    }
    model_end(&m);
    assert_int_equal(ptm_check(), 0);
}

static void test_mixed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        run(seed, 8000, SLOTS, (size_t)2 << 20);
}

static void test_small_only(void **state)
{
    (void)state;
    run(7, 30000, SLOTS, 1200);
}

/* Few blocks at a time: the heap grows and shrinks all the way, again and again. */
static void test_few_large(void **state)
{
    (void)state;
    run(8, 3000, 12, (size_t)24 << 20);
}

/* What was handed out is back: nothing is in use but what the thread cache holds. */
static void test_nothing_lost(void **state)
{
    struct mallinfo2 m;

    (void)state;
    run(9, 8000, SLOTS, (size_t)1 << 20);
    ptm_malloc_trim(0);
    m = ptm_mallinfo2();
    assert_int_equal(m.hblks, 0);
    assert_int_equal(m.hblkhd, 0);
    /* Heap headers, arenas and fences. */
    assert_in_range(m.uordblks, 0, 8192);
    assert_in_range(m.arena, 0, 64 << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_small_only),
        cmocka_unit_test(test_few_large),
        cmocka_unit_test(test_nothing_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
