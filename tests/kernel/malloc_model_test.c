/*
 * Random operations of the whole malloc interface against the model, with everything checked every
 * few hundred of them. The knobs come from the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model.h"
#include "os.h"
#include "ptmalloc.h"

#define SLOTS                1500
#define STEPS_BETWEEN_CHECKS 400

static struct block blocks[SLOTS];

static void run(struct model *m, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        model_step(m);
        if (i % STEPS_BETWEEN_CHECKS == 0)
            assert_int_equal(kmem_check(), 0);
        if (model_random(m) % 2048 == 0)
            slub_malloc_trim(model_random(m) % 65536);
    }
}

static void run_sizes(uint64_t seed, size_t steps, size_t slots, size_t max_bytes)
{
    struct model m;

    model_start(&m, seed, blocks, slots);
    m.max_bytes = max_bytes;
    run(&m, steps);
    model_end(&m);
    assert_int_equal(kmem_check(), 0);
}

static void test_mixed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_sizes(seed, 8000, SLOTS, (size_t)1 << 20);
}

static void test_small_only(void **state)
{
    (void)state;
    run_sizes(7, 30000, SLOTS, 1200);
}

static void test_few_large(void **state)
{
    (void)state;
    run_sizes(8, 1000, 12, (size_t)24 << 20);
}

/* ---- a system that refuses ---- */

static struct kmem_os real;
static uint64_t dice = 88172645463325252u;
static unsigned refuse_in_16;

static bool refused(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % 16 < refuse_in_16;
}

static void *map(size_t bytes)
{
    return refused() ? NULL : real.map(bytes);
}

static bool commit(void *start, size_t bytes)
{
    return !refused() && real.commit(start, bytes);
}

static bool purge(void *start, size_t bytes, bool shared)
{
    return !refused() && real.purge(start, bytes, shared);
}

/* Whatever the system refuses, the answer is NULL and ENOMEM, and nothing is damaged. */
static void test_refusals(void **state)
{
    struct model m;

    (void)state;
    slub_free(slub_malloc(1)); /* the start may not fail */
    real = kmem_os;
    kmem_os.map = map;
    kmem_os.commit = commit;
    kmem_os.purge = purge;
    model_start(&m, 21, blocks, SLOTS);
    m.may_refuse = true;
    m.max_bytes = (size_t)8 << 20;
    for (refuse_in_16 = 16;; refuse_in_16 -= 4) {
        run(&m, 2000);
        if (refuse_in_16 == 0)
            break;
    }
    assert_true(m.refused > 10);
    model_end(&m);
    kmem_os = real;
    assert_int_equal(kmem_check(), 0);
}

/* What was handed out is back: only the caches' own structures and what CPU lists hold are left. */
static void test_nothing_lost(void **state)
{
    (void)state;
    run_sizes(9, 8000, SLOTS, (size_t)1 << 20);
    slub_malloc_trim(0);
    assert_int_equal(slub_mallinfo2().hblks, 0);
    assert_in_range(slub_mallinfo2().uordblks, 0, 256 << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed),        cmocka_unit_test(test_small_only),
        cmocka_unit_test(test_few_large),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nothing_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
