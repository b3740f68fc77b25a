/*
 * A limit of address space that comes after the start: it leaves room for threads and mappings, holds the heap, and
 * what lies in holes of the pool then is not taken for the pool's. Each test in a process of its own.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/limit.h"
#include "malloc/mapped.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "page/pool.h"
#include "slub/slub.h"

#define LIMIT (2048 * MIB)

enum { BLOCKS = 4096, THREADS = 3, ROUNDS = 20000, SLOTS = 100 };

static char *block[BLOCKS];

static size_t address_space(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t pages = 0;

    expect(f && fscanf(f, "%zu", &pages) == 1);
    fclose(f);
    return pages * 4096;
}

static void limit_to(size_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};

    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == 0);
}

/* So many blocks are to be had. */
static size_t fill(size_t bytes)
{
    size_t n = 0;

    while (n < BLOCKS && (block[n] = slub_malloc(bytes)) != NULL) {
        block[n][0] = block[n][bytes - 1] = (char)n;
        n++;
    }
    expect(n == BLOCKS || errno == ENOMEM);
    return n;
}

static void empty(size_t n, size_t bytes)
{
    while (n-- > 0) {
        expect(block[n][0] == (char)n && block[n][bytes - 1] == (char)n);
        slub_free(block[n]);
    }
}

static void *allocate_some(void *unused)
{
    void *p = slub_malloc(100);

    expect(p != NULL);
    slub_free(p);
    return unused;
}

static void expect_threads(void)
{
    pthread_t thread;

    expect(pthread_create(&thread, NULL, allocate_some, NULL) == 0);
    expect(pthread_join(thread, NULL) == 0);
}

/* The check needs memory of its own: in proportion to the range of the pool, holes included. */
static void expect_whole(void)
{
    limit_to(RLIM_INFINITY);
    expect(kmem_check() == 0);
}

/* Twice: what was freed can be had again. */
static void expect_heap_between(size_t least, size_t most)
{
    for (int i = 0; i < 2; i++) {
        size_t n = fill(MIB);

        expect(n * MIB >= least && n * MIB <= most);
        empty(n, MIB);
    }
}

static void limited(void)
{
    char *kept = slub_malloc(100);

    strcpy(kept, "kept");
    limit_to(LIMIT);
    expect(address_space() < LIMIT / 8 * 5);
    expect_threads();
    expect_heap_between(LIMIT / 4 * 3, LIMIT);
    expect_threads();
    expect(!strcmp(kept, "kept"));
    slub_free(kept);
    expect_whole();
}

/* Memory that is in use stays, and so does what of it was freed. */
static void limited_below_what_is_used(void)
{
    size_t n = fill(MIB / 2), again;

    expect(n == BLOCKS);
    limit_to(LIMIT / 4);
    expect(!slub_malloc(64 * MIB));
    empty(n, MIB / 2);
    again = fill(MIB / 2);
    expect(again > n / 10 * 9 && again < n / 10 * 11);
    empty(again, MIB / 2);
    expect_whole();
}

static void limited_step_by_step(void)
{
    struct page_stats s;

    slub_free(slub_malloc(1));
    for (size_t limit = 4 * LIMIT; limit >= LIMIT / 16; limit /= 2) {
        limit_to(limit);
        expect_threads();
        kmem_pages_stats(&s);
        expect(s.pool_bytes <= limit / 8 * 5 && (limit > LIMIT || s.pool_bytes >= limit / 8 * 3));
    }
    expect_heap_between(LIMIT / 32, LIMIT / 16);
    limit_to(RLIM_INFINITY);
    expect_heap_between(LIMIT / 2, SIZE_MAX); /* of mappings */
    expect_whole();
}

static size_t pool_of(const char *knobs)
{
    struct page_stats s;

    setenv("HEAPMARK_SLUB", knobs, 1);
    slub_free(slub_malloc(1));
    limit_to(LIMIT);
    expect_threads();
    expect_whole();
    kmem_pages_stats(&s);
    return s.pool_bytes - LIMIT / 16; /* without HIGHMEM */
}

/* As large as somebody wanted it, unless that leaves nothing for others. */
static void limited_with_a_chosen_pool(void)
{
    expect(pool_of("pool=1536m") == 1536 * MIB);
}

static void limited_with_too_large_a_pool(void)
{
    expect(pool_of("pool=1920m") == LIMIT / 16 * 7);
}

/* Nothing of it but the limit itself, where there is no pool yet. */
static void limited_before_the_start(void)
{
    const struct rlimit wrong = {2, 1};
    struct rlimit limit;

    limit_to(LIMIT);
    expect(slub_prlimit(0, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur == LIMIT);
    expect(page_globals.bytes == 0);
    expect_heap_between(LIMIT / 4 * 3, LIMIT);
    errno = 0;
    expect(slub_prlimit(0, RLIMIT_AS, &wrong, NULL) == -1 && errno == EINVAL);
    expect_whole();
}

static void limited_far_away(void)
{
    size_t before;

    slub_free(slub_malloc(1));
    before = address_space();
    limit_to((size_t)1 << 60);
    expect(address_space() >= before);
}

/* The limit is the child's alone, the memory its parent's. */
static void limited_by_vfork(void)
{
    const struct rlimit limit = {LIMIT, LIMIT};
    size_t before;
    int status;
    pid_t child;

    slub_free(slub_malloc(1));
    before = page_globals.bytes;
    child = vfork();
    if (child == 0)
        _exit(slub_prlimit(0, RLIMIT_AS, &limit, NULL) != 0);
    expect(waitpid(child, &status, 0) == child && status == 0);
    expect(page_globals.bytes == before);
}

static void limited_by_fork(void)
{
    int status;
    pid_t child;

    slub_free(slub_malloc(1));
    child = fork();
    if (child == 0) {
        limited();
        _exit(0);
    }
    expect(waitpid(child, &status, 0) == child && status == 0);
    expect_whole();
}

/* An address of the pool's range that was given up: in front of HIGHMEM in use, or between two nodes. */
static char *hole(void)
{
    return frame_address(node_zone(0, page_globals.nodes > 1 ? ZONE_HIGHMEM : ZONE_NORMAL)->end);
}

static char *use_vmalloc(void)
{
    char *area = vmalloc(MIB);

    expect(area != NULL);
    memset(area, 7, MIB);
    return area;
}

static void *map_in_hole(void)
{
    void *p = mmap(hole(), MIB, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    expect(p == hole());
    expect(in_page_pool(p));
    return p;
}

/* As the system may do it, with whatever lies above. */
static void *map_behind_foreign(size_t bytes)
{
    static size_t used = MIB;
    void *p =
        mmap(hole() + used, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    used += bytes;
    return p == MAP_FAILED ? NULL : p;
}

/* HIGHMEM in use stays where it is. Others' memory comes between, and malloc's. */
static void limited_with_vmalloc(void)
{
    char *area = use_vmalloc(), *foreign;
    size_t n;

    limit_to(LIMIT);
    foreign = map_in_hole();
    foreign[0] = 1;
    vfree(use_vmalloc());
    kmem_os.map = map_behind_foreign;
    n = fill(3 * MIB);
    expect(n * 3 > 200);
    for (size_t i = 0; i < 200 / 3; i++) {
        expect(in_page_pool(block[i]) && mapped_size(block[i]) == 3 * MIB);
        expect(slub_malloc_usable_size(block[i]) == 3 * MIB);
    }
    block[0] = slub_realloc(block[0], 3 * MIB + 1);
    block[0] = slub_realloc(block[0], 3 * MIB);
    empty(n, 3 * MIB);
    expect_heap_between(LIMIT / 2, LIMIT);
    expect_threads();
    for (size_t i = 0; i < MIB; i++)
        expect(area[i] == 7);
    expect(foreign[0] == 1);
    vfree(area);
    expect_whole();
}

static void limited_with_vmalloc_and_fork(void)
{
    char *area = use_vmalloc();
    int status;
    pid_t child;

    limit_to(LIMIT);
    child = fork();
    if (child == 0) {
        expect(area[MIB - 1] == 7);
        vfree(use_vmalloc());
        vfree(area);
        expect_heap_between(LIMIT / 2, LIMIT);
        expect_whole();
        _exit(0);
    }
    expect(waitpid(child, &status, 0) == child && status == 0);
    vfree(area);
    expect_whole();
}

/* HIGHMEM that was made readable stays, but not four times its addresses. */
static void limited_with_much_vmalloc(void)
{
    char *area = vmalloc(64 * MIB);
    int status;
    pid_t child;

    expect(area != NULL);
    memset(area, 7, 64 * MIB);
    limit_to(512 * MIB);
    expect_threads();
    child = fork();
    if (child == 0)
        _exit(area[64 * MIB - 1] != 7);
    expect(waitpid(child, &status, 0) == child && status == 0);
    vfree(area);
    expect_whole();
}

static void first_vmalloc_behind(void)
{
    slub_free(slub_malloc(1));
    limit_to(LIMIT);
    vfree(use_vmalloc());
    expect(!vmalloc(LIMIT / 8));
    expect_whole();
}

static void free_in_hole(void)
{
    vfree(use_vmalloc());
    limit_to(LIMIT);
    slub_free(map_in_hole());
}

/* Every thread on its own, while the limit comes down. */
static void *churn(void *seed)
{
    static const size_t sizes[] = {24, 600, 9000, 70000, MIB / 2, 3 * MIB};
    uint64_t r = (uintptr_t)seed;
    char *p[SLOTS] = {0};

    for (int i = 0; i < ROUNDS; i++) {
        size_t k = next_random(&r) % SLOTS, bytes = sizes[k % 6];

        expect(!p[k] || (p[k][0] == (char)k && p[k][bytes - 1] == (char)k));
        slub_free(p[k]);
        p[k] = slub_malloc(bytes);
        if (p[k])
            p[k][0] = p[k][bytes - 1] = (char)k;
    }
    for (size_t k = 0; k < SLOTS; k++)
        slub_free(p[k]);
    return NULL;
}

static void limited_beside_threads(void)
{
    pthread_t thread[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        expect(pthread_create(&thread[i], NULL, churn, (void *)(i + 1)) == 0);
    for (size_t limit = 8 * LIMIT; limit >= LIMIT / 2; limit /= 2) {
        limit_to(limit);
        usleep(10000);
    }
    for (int i = 0; i < THREADS; i++)
        expect(pthread_join(thread[i], NULL) == 0);
    expect_whole();
}

static bool (*system_membarrier)(int);
static bool asked, answered;

static void *limit_when_asked(void *unused)
{
    while (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
        usleep(100);
    limit_to(LIMIT);
    __atomic_store_n(&answered, true, __ATOMIC_RELEASE);
    return unused;
}

/* There is a pool, and no more than that. */
static bool ask_in_the_start(int command)
{
    if (!asked) {
        expect(page_globals.bytes && !slub_started);
        __atomic_store_n(&asked, true, __ATOMIC_RELEASE);
        usleep(100000);
        expect(!__atomic_load_n(&answered, __ATOMIC_ACQUIRE));
    }
    return system_membarrier(command);
}

/* Who limits while another thread makes the first call waits for it. */
static void limited_beside_the_start(void)
{
    pthread_t thread;

    expect(pthread_create(&thread, NULL, limit_when_asked, NULL) == 0);
    system_membarrier = kmem_os.membarrier;
    kmem_os.membarrier = ask_in_the_start;
    slub_free(slub_malloc(1));
    expect(asked);
    expect(pthread_join(thread, NULL) == 0);
    expect(address_space() < LIMIT / 8 * 5);
    expect_whole();
}

/* A limit that the system does not accept leaves everything as it is. */
static void refused(void)
{
    struct rlimit limit = {(size_t)1 << 60, (size_t)1 << 60};
    size_t bytes;

    slub_free(slub_malloc(1));
    bytes = page_globals.bytes;
    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == 0);
    expect(geteuid() != 0 || setuid(65534) == 0);
    limit = (struct rlimit){LIMIT, RLIM_INFINITY};
    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == -1 && errno == EPERM);
    limit = (struct rlimit){LIMIT, 1};
    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == -1 && errno == EINVAL);
    limit = (struct rlimit){LIMIT, LIMIT};
    expect(slub_prlimit(-1, RLIMIT_AS, &limit, NULL) == -1 && errno == ESRCH);
    expect(page_globals.bytes == bytes && percpu_area.pool_bytes == bytes);
    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == 0);
    expect(page_globals.bytes < LIMIT || page_globals.nodes > 1);
}

/* Who has the right to may raise the hard limit when the other one comes. */
static void limited_with_a_higher_hard_limit(void)
{
    struct rlimit limit = {(size_t)1 << 60, (size_t)1 << 60};

    slub_free(slub_malloc(1));
    expect(slub_prlimit(0, RLIMIT_AS, &limit, NULL) == 0);
    limit = (struct rlimit){LIMIT, RLIM_INFINITY};
    if (slub_prlimit(0, RLIMIT_AS, &limit, NULL) != 0)
        return;
    expect(address_space() < LIMIT / 8 * 5);
    expect_threads();
    expect_whole();
}

/* As the system itself: NULL is no limit, and a pointer that leads nowhere no crash. */
static void limited_by_bad_pointers(void)
{
    struct rlimit *nowhere = (void *)8, limit = {LIMIT, RLIM_INFINITY};

    for (int i = 0; i < 2; i++) {
        expect(slub_prlimit(0, RLIMIT_AS, NULL, NULL) == 0);
        errno = 0;
        expect(slub_prlimit(0, RLIMIT_AS, nowhere, NULL) == -1 && errno == EFAULT);
        errno = 0;
        expect(slub_prlimit(0, RLIMIT_AS, NULL, nowhere) == -1 && errno == EFAULT);
        slub_free(slub_malloc(1));
    }
    errno = 0;
    expect(slub_prlimit(0, RLIMIT_AS, &limit, &limit) == 0 && errno == 0);
    expect(limit.rlim_cur == RLIM_INFINITY);
    expect(address_space() < LIMIT / 8 * 5);
}

static void *say_who(void *who)
{
    __atomic_store_n((pid_t *)who, gettid(), __ATOMIC_RELEASE);
    pause();
    return who;
}

/* A thread's limit is its process's. */
static void limited_by_a_threads_id(void)
{
    const struct rlimit limit = {LIMIT, RLIM_INFINITY};
    pthread_t thread;
    pid_t who = 0;

    slub_free(slub_malloc(1));
    expect(pthread_create(&thread, NULL, say_who, &who) == 0);
    while (!__atomic_load_n(&who, __ATOMIC_ACQUIRE))
        usleep(100);
    expect(slub_prlimit(who, RLIMIT_AS, &limit, NULL) == 0);
    expect(address_space() < LIMIT / 8 * 5);
    expect_threads();
}

static void *wait_for_ever(void *unused)
{
    pause();
    return unused;
}

/* Where there was something else when the pool came. */
static void limited_with_a_mapping_above(void)
{
    char *place = mmap(NULL, 64 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;
    pthread_t thread;
    size_t frame;
    bool in_front;

    slub_free(slub_malloc(1));
    munmap(place, 64 * MIB);
    expect(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    p = slub_malloc(5 * MIB);
    in_front = kmem_pages_cells_in_front();
    expect((uintptr_t)p > page_globals.base);
    frame = ((uintptr_t)p - page_globals.base) >> PAGE_SHIFT;
    limit_to(LIMIT);
    expect(!kmem_pages_cells_in_front() && percpu_near_pool == PERCPU_NO_POOL);
    /* As a free does that had begun before the limit. Those behind are gone. */
    if (in_front) {
        expect(kmem_pages_cells()[frame] == 0);
        expect(pool.cell_frames == frame + 1 && frame + 1 < CELLS_IN_FRONT);
    }
    slub_free(p);
    limit_to(LIMIT);
    expect(pool.cell_frames == page_globals.frames);
    expect_whole();
}

TEST(limited)
TEST(limited_below_what_is_used)
TEST(limited_step_by_step)
TEST(limited_with_a_chosen_pool)
TEST(limited_with_too_large_a_pool)
TEST(limited_before_the_start)
TEST(limited_far_away)
TEST(limited_by_vfork)
TEST(limited_by_fork)
TEST(limited_with_vmalloc)
TEST(limited_with_vmalloc_and_fork)
TEST(limited_with_much_vmalloc)
TEST(first_vmalloc_behind)
TEST(limited_beside_threads)
TEST(limited_beside_the_start)
TEST(refused)
TEST(limited_with_a_higher_hard_limit)
TEST(limited_by_bad_pointers)
TEST(limited_by_a_threads_id)
TEST(limited_with_a_mapping_above)

static void test_free_in_hole(void **state)
{
    struct ending e = ending_of(free_in_hole);

    (void)state;
    assert_int_equal(signal_of(&e), SIGABRT);
    assert_non_null(strstr(e.said, "free: freed before, or never allocated"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limited),
        cmocka_unit_test(test_limited_below_what_is_used),
        cmocka_unit_test(test_limited_step_by_step),
        cmocka_unit_test(test_limited_with_a_chosen_pool),
        cmocka_unit_test(test_limited_with_too_large_a_pool),
        cmocka_unit_test(test_limited_before_the_start),
        cmocka_unit_test(test_limited_far_away),
        cmocka_unit_test(test_limited_by_vfork),
        cmocka_unit_test(test_limited_by_fork),
        cmocka_unit_test(test_limited_with_vmalloc),
        cmocka_unit_test(test_limited_with_vmalloc_and_fork),
        cmocka_unit_test(test_limited_with_much_vmalloc),
        cmocka_unit_test(test_first_vmalloc_behind),
        cmocka_unit_test(test_limited_beside_threads),
        cmocka_unit_test(test_limited_beside_the_start),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limited_with_a_higher_hard_limit),
        cmocka_unit_test(test_limited_by_bad_pointers),
        cmocka_unit_test(test_limited_by_a_threads_id),
        cmocka_unit_test(test_limited_with_a_mapping_above),
        cmocka_unit_test(test_free_in_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
