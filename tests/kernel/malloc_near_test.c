/*
 * The two ways of malloc and free, see percpu/rseq_x86_64.h: the near ones are open where they may be, and either
 * way pops and pushes the CPU's main sheaf. The knobs near=0 and pool=256m come from the environment.
 */
#include "support.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/rseq.h>

#include "config.h"
#include "malloc/classes.h"
#include "malloc/slub_malloc.h"
#include "slub/slub.h"

static struct cpu_sheaf *main_sheaf(const void *object)
{
    size_t cell = 0;

    assert_true(fast_cell(object, &cell));
    assert_int_not_equal(cell, 0);
    return (struct cpu_sheaf *)(percpu_area.free[sched_getcpu()] + cell);
}

static void test_which_ways_are_open(void **state)
{
    bool as_built;

    (void)state;
    slub_free(slub_malloc(1)); /* reads the knobs */
    as_built = kmem_config.near && __rseq_offset == KMEM_RSEQ_OFFSET;
    assert_int_equal(percpu_area.small, as_built ? PERCPU_SMALL : 0);
    assert_true(kmem_pages_cells_in_front());
    assert_int_equal(percpu_near_pool, as_built ? percpu_area.pool : PERCPU_NO_POOL);
}

/* The section that was announced last begins in `function`, which is less than 1 KiB long. */
static bool ran_in(const void *function)
{
    const struct rseq *area =
        (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);
    const struct rseq_cs *section = (const struct rseq_cs *)(uintptr_t)area->rseq_cs;

    return section && section->start_ip - (uintptr_t)function < 1024;
}

/* The kernel takes the announcement back when it interrupts: then once more. */
static void assert_way(size_t size, const void *malloc_way, const void *free_way)
{
    bool by_malloc = false, by_free = false;

    for (int i = 0; i < 100 && !(by_malloc && by_free); i++) {
        void *p = slub_malloc(size);

        by_malloc |= ran_in(malloc_way);
        slub_free(p);
        by_free |= ran_in(free_way);
    }
    assert_true(by_malloc);
    assert_true(by_free);
}

static void test_which_function_serves(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 100, 1024, 1025, 5000, 32768};
    bool near = kmem_config.near && __rseq_offset == KMEM_RSEQ_OFFSET;

    (void)state;
    if (!machine_has_rseq())
        skip();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_way(sizes[i],
                   near && sizes[i] <= 1024 ? (const void *)slub_malloc : (const void *)malloc_far,
                   near ? (const void *)slub_free : (const void *)free_far);
}

static void test_objects_go_by_the_main_sheaf(void **state)
{
    static const size_t sizes[] = {0, 16, 100, 1024, 1025, 5000, 32768};

    (void)state;
    if (!machine_has_rseq())
        skip();
    stay_on_this_cpu();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *p = slub_malloc(sizes[i]), *q = slub_malloc(sizes[i]), **top;
        struct cpu_sheaf *sheaf = main_sheaf(p);

        slub_free(p);
        top = sheaf->top;
        assert_ptr_equal(top[-1], p);
        slub_free(q);
        assert_ptr_equal(sheaf->top, top + 1);
        assert_ptr_equal(top[0], q);
        assert_ptr_equal(slub_malloc(sizes[i]), q);
        assert_ptr_equal(slub_malloc(sizes[i]), p);
        assert_ptr_equal(sheaf->top, top - 1);
        slub_free(p);
        slub_free(q);
    }
}

static void test_what_no_cell_is_known_for(void **state)
{
    (void)state;
    slub_free(NULL);
    for (size_t bytes = 40000; bytes < (size_t)64 << 20; bytes *= 3) {
        char *p = slub_malloc(bytes);

        assert_non_null(p);
        memset(p, 1, bytes);
        slub_free(p);
    }
    assert_int_equal(kmem_check(), 0);
}

/* An address that a frame beyond the pool would have: its cell reads as none. */
static void free_beyond(void)
{
    slub_free(slub_malloc(1));
    slub_free((void *)(percpu_area.pool + page_globals.bytes + ((size_t)1 << 32)));
}

static void free_at_the_end_of_the_window(void)
{
    slub_free(slub_malloc(1));
    slub_free((void *)(percpu_area.pool + (CELLS_IN_FRONT << PAGE_SHIFT) - 16));
}

/* In a new process: with its address space limited, the cells are not in front, and all works. */
static void start_limited(void)
{
    const struct rlimit limit = {(size_t)1 << 30, (size_t)1 << 30};
    char *p;

    setrlimit(RLIMIT_AS, &limit);
    p = slub_malloc(100);
    if (!p || percpu_near_pool != PERCPU_NO_POOL || kmem_pages_cells_in_front())
        abort();
    slub_free(p);
    if (percpu_mode == PERCPU_RSEQ && slub_malloc(100) != p)
        abort();
}

static void free_integer(void)
{
    slub_free((void *)((uintptr_t)1 << 63));
}

static void test_limited_address_space(void **state)
{
    struct ending e = ending_of(start_limited);

    (void)state;
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

static void test_wrong_pointers_beyond_the_pool(void **state)
{
    struct ending beyond = ending_of(free_beyond), integer = ending_of(free_integer),
                  at_the_end = ending_of(free_at_the_end_of_the_window);

    (void)state;
    assert_non_null(strstr(beyond.said, "free: not from malloc"));
    assert_int_equal(signal_of(&beyond), SIGABRT);
    assert_non_null(strstr(integer.said, "free: not from malloc"));
    assert_int_equal(signal_of(&integer), SIGABRT);
    assert_non_null(strstr(at_the_end.said, "free: not from malloc"));
    assert_int_equal(signal_of(&at_the_end), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limited_address_space), /* before anything has started */
        cmocka_unit_test(test_which_ways_are_open),
        cmocka_unit_test(test_which_function_serves),
        cmocka_unit_test(test_objects_go_by_the_main_sheaf),
        cmocka_unit_test(test_what_no_cell_is_known_for),
        cmocka_unit_test(test_wrong_pointers_beyond_the_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
