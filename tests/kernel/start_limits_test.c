/*
 * A start where memory is locked, charged or limited: what describes the frames of a large pool costs no more
 * than the frames in use do.
 */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "page/page.h"
#include "slub/slub.h"

#define LEAST      ((size_t)8 << 20) /* the pool of a node, half of it HIGHMEM */
#define A_FEW      (16 * MIB)        /* what all of this may take of locked or writable memory */
#define LARGE_POOL "pool=64g"        /* of which the states alone are 32 MiB */

enum { OBJECTS = 20000, BYTES = 100 };

/* Bytes: 0, of address space; 1, resident. */
static size_t of_statm(unsigned field)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t pages[2] = {0};

    if (!f || fscanf(f, "%zu %zu", &pages[0], &pages[1]) != 2)
        _exit(90);
    fclose(f);
    return pages[field] * 4096;
}

/* What a system that does not overcommit (vm.overcommit_memory=2) counts: private and writable. */
static size_t writable_bytes(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512], rights[5];
    size_t from, to, sum = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%zx-%zx %4s", &from, &to, rights) == 3 && !strcmp(rights, "rw-p"))
            sum += to - from;
    if (!f)
        _exit(90);
    fclose(f);
    return sum;
}

static bool has_small_page_tables(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    size_t kib = SIZE_MAX;
    char line[256];

    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmPTE: %zu", &kib) != 1)
        ;
    if (!f)
        _exit(90);
    fclose(f);
    return kib < 8 << 10;
}

static bool works(void)
{
    static char *p[OBJECTS];

    for (int i = 0; i < OBJECTS; i++)
        if (!(p[i] = slub_malloc(BYTES)))
            return false;
        else
            memset(p[i], 1, BYTES);
    for (int i = 0; i < OBJECTS; i++)
        slub_free(p[i]);
    return true;
}

static void lock_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        _exit(SKIPPED); /* RLIMIT_MEMLOCK */
}

static void locked_before(void)
{
    size_t before;

    lock_memory();
    before = of_statm(1);
    if (!works())
        _exit(SKIPPED); /* the same */
    _exit(of_statm(1) > before + A_FEW || !has_small_page_tables());
}

static void locked_behind(void)
{
    size_t before = of_statm(1);

    if (!works())
        _exit(2);
    lock_memory();
    _exit(!works() || of_statm(1) > before + A_FEW || !has_small_page_tables());
}

static void test_locked(void **state)
{
    struct ending before = ending_of(locked_before), behind = ending_of(locked_behind);

    (void)state;
    if (before.status == SKIPPED << 8 || behind.status == SKIPPED << 8) {
        print_message("skipped: RLIMIT_MEMLOCK forbids to lock the memory\n");
        skip();
    }
    assert_int_equal(before.status, 0);
    assert_int_equal(behind.status, 0);
}

static void charged(void)
{
    size_t before = writable_bytes();

    _exit(!works() || writable_bytes() > before + A_FEW);
}

static void test_charged(void **state)
{
    (void)state;
    assert_int_equal(ending_of(charged).status, 0);
}

/* From here on so much more address space than there is already. */
static void limit_space(size_t bytes)
{
    const struct rlimit limit = {of_statm(0) + bytes, of_statm(0) + bytes};

    setenv("HEAPMARK_SLUB", "nodes=1", 1);
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        _exit(91);
}

/* With room for the rest of a program's life. */
static void little_space(void)
{
    void *stack;

    limit_space(60 * MIB);
    if (!works() || kmem_check() != 0)
        _exit(2);
    stack = mmap(NULL, 8 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    _exit(stack == MAP_FAILED);
}

static void least_space(void)
{
    limit_space(LEAST + 10 * MIB);
    _exit(!works());
}

static void too_little_space(void)
{
    limit_space(LEAST);
    works();
}

static void too_little_for_nodes(void)
{
    limit_space(2 * LEAST);
    setenv("HEAPMARK_SLUB", "nodes=2", 1);
    works();
}

static void no_data(void)
{
    const struct rlimit none = {0, 0};

    setenv("HEAPMARK_SLUB", "nodes=1", 1);
    if (setrlimit(RLIMIT_DATA, &none) != 0)
        _exit(91);
    works();
}

static void no_mappings(void)
{
    setenv("HEAPMARK_SLUB", "nodes=1", 1);
    if (!use_up_mappings())
        _exit(SKIPPED);
    works();
}

static void expect_refusal(void (*body)(void), size_t bytes, const char *limit)
{
    struct ending e = ending_of(body);
    char expected[256];

    assert_int_equal(signal_of(&e), SIGABRT);
    snprintf(expected, sizeof expected,
             "slub: cannot start: the system refuses memory for a pool of '%zu' bytes, the least "
             "there can be; "
             "raise its limit (%s)\n",
             bytes, limit);
    assert_string_equal(e.said, expected);
}

static void test_limited(void **state)
{
    (void)state;
    assert_int_equal(ending_of(little_space).status, 0);
    assert_int_equal(ending_of(least_space).status, 0);
    expect_refusal(too_little_space, LEAST, "ulimit -v, -d");
    expect_refusal(too_little_for_nodes, 2 * LEAST, "ulimit -v, -d");
    expect_refusal(no_data, LEAST, "ulimit -v, -d");
}

static void test_mappings_used_up(void **state)
{
    struct ending e = ending_of(no_mappings);

    (void)state;
    if (e.status == SKIPPED << 8) {
        print_message("skipped: vm.max_map_count allows too many mappings to try\n");
        skip();
    }
    expect_refusal(no_mappings, LEAST,
                   "of mappings: vm.max_map_count; of memory: vm.overcommit_memory");
}

static bool refuse_commit(void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
    return false;
}

/* A start that has its addresses, but no memory for the first slab; later there is some. */
static void no_memory(void)
{
    struct kmem_os real = kmem_os;

    kmem_os.commit = refuse_commit;
    if (slub_malloc(BYTES) || kmem_cache_create("refused", BYTES, 0, 0, NULL))
        _exit(2);
    kmem_os = real;
    _exit(!works() || kmem_check() != 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(ending_of(no_memory).status, 0);
}

/* The memory of vmalloc() lies in a file, of which a signal must not tell. */
static void small_files(void)
{
    const struct rlimit small = {100000, 100000};

    if (setrlimit(RLIMIT_FSIZE, &small) != 0)
        _exit(91);
    _exit(vmalloc(10000) != NULL || !works() || kmem_check() != 0);
}

static void test_small_files(void **state)
{
    (void)state;
    assert_int_equal(ending_of(small_files).status, 0);
}

/* On a machine that has more memory than frames can be numbered there is half of it, or half of that. */
static void huge_machine(void)
{
    const struct page_config huge = {.pool_bytes = (size_t)1 << 45, .nodes = 2};
    struct page *p;

    if (kmem_pages_start(&huge) != 0)
        _exit(2);
    p = alloc_pages_node(1, GFP_KERNEL, 0);
    if (!p || page_to_node(p) != 1 || page_globals.frames > (size_t)1 << 32)
        _exit(3);
    __free_pages(p, 0);
    p = alloc_pages_node(1, GFP_KERNEL | __GFP_HIGHMEM, 0);
    if (!p)
        _exit(4);
    __free_pages(p, 0);
    _exit(0);
}

static void test_huge_machine(void **state)
{
    (void)state;
    assert_int_equal(ending_of(huge_machine).status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locked),       cmocka_unit_test(test_charged),
        cmocka_unit_test(test_limited),      cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_small_files),  cmocka_unit_test(test_mappings_used_up),
        cmocka_unit_test(test_huge_machine),
    };

    setenv("HEAPMARK_SLUB", LARGE_POOL, 1); /* each test starts it in a child */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
