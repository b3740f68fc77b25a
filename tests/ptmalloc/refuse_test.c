/*
 * Memory refused at random, by a layer between the allocator and the system: every answer must be
 * memory or NULL with ENOMEM, nothing may be lost, and the heap must stay whole. Also: a break
 * that is taken, and strangers that move it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "model.h"
#include "os.h"
#include "ptmalloc.h"

#define SLOTS 600

static struct block blocks[SLOTS];
static struct ptm_os real;
static uint64_t dice = 88172645463325252u;
static unsigned refuse_of_16; /* calls refused, of 16 */
static bool break_is_taken;
static bool strangers; /* move the break before we do, now and then */
static size_t refusals;

static unsigned roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 20);
}

static bool refuse(void)
{
    if (roll() % 16 >= refuse_of_16)
        return false;
    refusals++;
    return true;
}

static void *grow(intptr_t bytes)
{
    if (bytes != 0 && (break_is_taken || refuse()))
        return NULL;
    if (bytes > 0 && strangers && roll() % 2) {
        size_t theirs = roll() % 9000;
        unsigned char *p = sbrk((intptr_t)theirs);

        /* Theirs to write: whatever we believe about it shows. */
        for (size_t i = 0; p != (void *)-1 && i < theirs; i++)
            p[i] = 0xa5;
    }
    return real.grow(bytes);
}

static void *reserve(size_t bytes)
{
    return refuse() ? NULL : real.reserve(bytes);
}

static bool commit(void *start, size_t bytes)
{
    return !refuse() && real.commit(start, bytes);
}

static void *map(size_t bytes)
{
    return refuse() ? NULL : real.map(bytes);
}

static bool unmap(void *start, size_t bytes)
{
    return real.unmap(start, bytes);
}

static void *remap(void *start, size_t old_bytes, size_t new_bytes)
{
    return refuse() ? NULL : real.remap(start, old_bytes, new_bytes);
}

static bool purge(void *start, size_t bytes)
{
    return !refuse() && real.purge(start, bytes);
}

static void run(uint64_t seed, size_t steps)
{
    struct model m;

    refusals = 0;
    model_start(&m, seed, blocks, SLOTS);
    m.may_refuse = true;
    for (size_t i = 0; i < steps; i++) {
        model_step(&m);
        if (i % 300 == 0)
            assert_int_equal(ptm_check(), 0);
        if (model_random(&m) % 1024 == 0)
            ptm_malloc_trim(0);
    }
    refuse_of_16 = 0;
    model_end(&m);
    assert_int_equal(ptm_check(), 0);
    assert_int_equal(ptm_mallinfo2().hblks, 0);
}

static void test_refused_often(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        refuse_of_16 = 12;
        run(seed, 8000);
        assert_true(refusals > 0);
    }
}

static void test_refused_always(void **state)
{
    void *p;

    (void)state;
    refuse_of_16 = 16;
    errno = 0;
    p = ptm_malloc((size_t)200 << 20);
    assert_null(p);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(ptm_check(), 0);
    /* What is there already can still be had. */
    refuse_of_16 = 0;
    p = ptm_malloc(1000);
    assert_non_null(p);
    refuse_of_16 = 16;
    ptm_free(p);
    p = ptm_malloc(1000);
    assert_non_null(p);
    ptm_free(p);
    refuse_of_16 = 0;
}

static void test_break_taken(void **state)
{
    (void)state;
    break_is_taken = true;
    run(11, 12000);
    refuse_of_16 = 4;
    run(12, 8000);
    break_is_taken = false;
    run(13, 4000);
}

static void test_strangers_move_the_break(void **state)
{
    (void)state;
    strangers = true;
    run(21, 12000);
    refuse_of_16 = 4;
    run(22, 8000);
    strangers = false;
}

/*
 * The system gives for a while and then never again. What came after that lies in heaps (mappings
 * of their own would have gone back to the system): freed, it can be had again.
 */
static void test_exhausted(void **state)
{
    enum { GIVEN = 1000, MOST = 4096 };
    static void *kept[MOST];
    size_t n = 0;

    (void)state;
    refuse_of_16 = 0;
    while (n < MOST && (kept[n] = ptm_malloc(60000)) != NULL) {
        if (++n == GIVEN)
            refuse_of_16 = 16;
    }
    assert_in_range(n, GIVEN, MOST - 1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(ptm_check(), 0);
    for (size_t i = GIVEN; i < n; i += 2)
        ptm_free(kept[i]);
    for (size_t i = GIVEN; i < n; i += 2) {
        kept[i] = ptm_malloc(50000);
        assert_non_null(kept[i]);
    }
    refuse_of_16 = 0;
    for (size_t i = 0; i < n; i++)
        ptm_free(kept[i]);
    assert_int_equal(ptm_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_often), cmocka_unit_test(test_refused_always),
        cmocka_unit_test(test_break_taken),   cmocka_unit_test(test_strangers_move_the_break),
        cmocka_unit_test(test_exhausted),
    };

    real = ptm_os;
    ptm_os = (struct ptm_os){grow, reserve, commit, map, unmap, remap, purge};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
