/*
 * Memory refused at random, by a layer between the allocator and the system: every answer must be
 * memory or NULL with ENOMEM, nothing may be lost, and the heap must stay whole. Also: a break
 * that is taken, and strangers that move it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
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
static size_t moves;   /* of strangers */
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

/*
 * What a stranger gets is theirs to write; of what they give back, the page that they keep a part of stays as
 * they left it. So whatever we believe about either shows.
 */
static void move_the_break(void)
{
    size_t theirs = 16 * (1 + roll() % 500);
    unsigned char *p = sbrk((intptr_t)theirs);

    if (p == (void *)-1)
        return;
    moves++;
    memset(p, 0xa5, theirs);
    sbrk(-(intptr_t)(roll() % 2 ? theirs : roll() % theirs & ~15u));
}

static void *grow(intptr_t bytes)
{
    if (bytes != 0 && (break_is_taken || refuse()))
        return NULL;
    if (bytes > 0 && strangers)
        move_the_break();
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
    for (uint64_t seed = 1; seed <= 2; seed++) {
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
    run(11, 5000);
    refuse_of_16 = 4;
    run(12, 4000);
    break_is_taken = false;
    run(13, 3000);
}

/* Blocks too big for the caches and too small for a mapping: one of them is first in each new heap. */
static void calloc_beside_strangers(void)
{
    enum { COUNT = 200, BYTES = 3000 };
    static const char zeros[BYTES];
    void *p[COUNT];

    for (int i = 0; i < COUNT; i++) {
        p[i] = ptm_calloc(1, BYTES);
        assert_memory_equal(p[i], zeros, BYTES);
    }
    for (int i = 0; i < COUNT; i++)
        ptm_free(p[i]);
    assert_in_range(moves, 4, SIZE_MAX);
}

static void test_strangers_move_the_break(void **state)
{
    (void)state;
    strangers = true;
    calloc_beside_strangers();
    run(21, 5000);
    refuse_of_16 = 4;
    run(22, 4000);
    strangers = false;
}

/* Bytes of private writable memory that this process has, as RLIMIT_DATA counts them. */
static size_t data_bytes(void)
{
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];

    assert_non_null(status);
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmData: %zu", &kib);
    fclose(status);
    return kib << 10;
}

static void limit_data(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_DATA, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
}

enum { MOST = 4096, WANTED = 60000 };
static void *kept[MOST];

/* Allocates until nothing is left; how many blocks that were. */
static size_t exhaust(void)
{
    size_t n = 0;

    errno = 0;
    while (n < MOST && (kept[n] = ptm_malloc(WANTED)) != NULL)
        n++;
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(ptm_check(), 0);
    return n;
}

/*
 * The system itself has only so much. What was freed can be had again, to the last block, whether
 * it stayed in a heap or went back to the system; and it is as much each time. The first round finds the
 * heaps as other tests left them, and so may place its blocks otherwise, by the rounding of one.
 */
static void test_exhausted(void **state)
{
    const size_t given = (size_t)48 << 20;
    size_t least = 0;

    (void)state;
    refuse_of_16 = 0;
    limit_data(data_bytes() + given);
    for (int round = 0; round < 4; round++) {
        size_t n = exhaust();

        assert_in_range(n, given / WANTED / 2, MOST - 1);
        for (size_t i = 0; i < n; i += 2)
            ptm_free(kept[i]);
        assert_int_equal(ptm_check(), 0);
        for (size_t i = 0; i < n; i += 2) {
            kept[i] = ptm_malloc(WANTED);
            assert_non_null(kept[i]);
        }
        for (size_t i = 0; i < n; i++)
            ptm_free(kept[i]);
        assert_int_equal(ptm_check(), 0);
        assert_in_range(n, least, MOST);
        least = round == 0 ? n - 1 : n;
    }
    limit_data(RLIM_INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: an arena that once could not move the break need not come back to it. */
        cmocka_unit_test(test_strangers_move_the_break),
        cmocka_unit_test(test_refused_often),
        cmocka_unit_test(test_refused_always),
        cmocka_unit_test(test_break_taken),
        cmocka_unit_test(test_exhausted),
    };

    real = ptm_os;
    ptm_os = (struct ptm_os){grow, reserve, commit, map, unmap, remap, purge};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
