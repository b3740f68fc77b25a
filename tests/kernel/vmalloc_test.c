/*
 * vmalloc and vmap: what each call promises; random use against a model, with the system refusing
 * now and then; fork.
 */
#include "page_support.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pcp.h"
#include "vmalloc/space.h"

static size_t highmem_used(void)
{
    size_t used = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->kind == ZONE_HIGHMEM)
            used += zone_used_frames(z);
    return used;
}

static bool is_filled(const unsigned char *p, size_t bytes, unsigned char with)
{
    return bytes == 0 || (p[0] == with && memcmp(p, p + 1, bytes - 1) == 0);
}

/* A bad access in a child ends it with this signal; 0: it came through. */
static int signal_of_touching(volatile char *at)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_basics(void **state)
{
    unsigned char *p = vmalloc(10 * PAGE_SIZE - 5);

    (void)state;
    assert_non_null(p);
    assert_true(is_vmalloc_addr(p));
    assert_false(is_vmalloc_addr(&p));
    memset(p, 0x5a, 10 * PAGE_SIZE);
    for (size_t i = 0; i < 10; i++) {
        struct page *page = vmalloc_to_page(p + i * PAGE_SIZE);

        assert_non_null(page);
        /* The same memory at its other address. */
        assert_true(is_filled(page_address(page), PAGE_SIZE, 0x5a));
    }
    assert_null(vmalloc_to_page(p + 10 * PAGE_SIZE));
    assert_whole();
    vfree(p);
    vfree(NULL);
    assert_null(vmalloc(0));
    assert_null(__vmalloc(PAGE_SIZE, GFP_ATOMIC));
    assert_null(__vmalloc(PAGE_SIZE, GFP_NOWAIT));
}

static void test_zeroed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        unsigned char *p = vzalloc(40 * PAGE_SIZE);

        assert_true(is_filled(p, 40 * PAGE_SIZE, 0));
        memset(p, 0xff, 40 * PAGE_SIZE);
        vfree(p);
        if (i == 1)
            vm_unmap_aliases();
    }
}

/* Behind every area is a page that cannot be touched; so is a purged one. */
static void test_guard(void **state)
{
    char *p = vmalloc(3 * PAGE_SIZE), *q = vmalloc(3 * PAGE_SIZE);

    (void)state;
    assert_int_equal(signal_of_touching(p), 0);
    assert_int_equal(signal_of_touching(p + 3 * PAGE_SIZE - 1), 0);
    assert_int_equal(signal_of_touching(p + 3 * PAGE_SIZE), SIGSEGV);
    assert_true(q >= p + 4 * PAGE_SIZE || p >= q + 4 * PAGE_SIZE);
    vfree(p);
    vfree(q);
    vm_unmap_aliases();
    assert_int_equal(signal_of_touching(p), SIGSEGV);
    assert_int_equal(highmem_used(), 0);
}

/* Scattered frames make one area: every second page of the pool is taken away from it. */
static void test_scattered(void **state)
{
    /* Too few for huge blocks. */
    enum { N = 900 };
    static struct page *p[N];
    unsigned char *v;
    size_t runs = 0;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    for (int i = 0; i < N; i += 2)
        __free_pages(p[i], 0);
    v = vmalloc(N / 2 * PAGE_SIZE);
    assert_non_null(v);
    for (size_t i = 0; i < N / 2; i++)
        memset(v + i * PAGE_SIZE, (int)i, PAGE_SIZE);
    for (size_t i = 0; i < N / 2; i++) {
        assert_true(is_filled(v + i * PAGE_SIZE, PAGE_SIZE, (unsigned char)i));
        runs += i == 0 ||
                vmalloc_to_page(v + i * PAGE_SIZE) != vmalloc_to_page(v + (i - 1) * PAGE_SIZE) + 1;
    }
    assert_true(runs > N / 4);
    assert_whole();
    vfree(v);
    for (int i = 1; i < N; i += 2)
        __free_pages(p[i], 0);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
    assert_whole();
}

/* Freed areas stay mapped until enough of them can go at once; neighbours go with one call. */
static void test_lazy(void **state)
{
    enum { N = 64 };
    static char *p[N];
    struct vmalloc_stats before, after;
    size_t calls;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = vmalloc((size_t)(i + 1) * PAGE_SIZE);
    kmem_vmalloc_stats(&before);
    calls = system_calls();
    for (int i = 0; i < N; i++)
        vfree(p[i]);
    assert_int_equal(system_calls(), calls);
    /* The same number of pages again costs no call either, last freed first. */
    char *again = vmalloc(60 * PAGE_SIZE);
    assert_ptr_equal(again, p[59]);
    assert_int_equal(system_calls(), calls);
    vfree(again);
    vm_unmap_aliases();
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.unmappings - before.unmappings, 1);
    assert_int_equal(after.lazy_bytes, 0);
    assert_whole();
}

/* More than the threshold is unmapped by vfree() itself. */
static void test_purge_threshold(void **state)
{
    struct vmalloc_stats s;
    size_t purges;

    (void)state;
    vm_unmap_aliases();
    kmem_vmalloc_stats(&s);
    purges = s.purges;
    /* 128 MiB of HIGHMEM: 16 MiB may be lazy. */
    for (size_t i = 0; i < 40; i++) {
        char *p = vmalloc(MIB + i * PAGE_SIZE);

        assert_non_null(p);
        vfree(p);
        kmem_vmalloc_stats(&s);
        assert_true(s.lazy_bytes <= 16 * MIB);
    }
    assert_int_equal(s.purges, purges + 2);
}

static void test_huge(void **state)
{
    struct vmalloc_stats before, after;
    size_t calls;
    char *p;

    (void)state;
    vm_unmap_aliases();
    kmem_vmalloc_stats(&before);
    calls = system_calls();
    p = vmalloc(6 * MIB + 3 * PAGE_SIZE);
    assert_non_null(p);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.huge - before.huge, 3);
    assert_int_equal((uintptr_t)p & (2 * MIB - 1), 0);
    /* Some for growing, four at most to map: not one a page. */
    assert_in_range(system_calls() - calls, 1, 10);
    memset(p, 1, 6 * MIB + 3 * PAGE_SIZE);
    assert_whole();
    vfree(p);
    vm_unmap_aliases();
    assert_whole();
}

/* No 2 MiB in a row anywhere: single pages do. */
static void test_huge_falls_back(void **state)
{
    static struct page *all[128 * 512];
    struct vmalloc_stats before, after;
    size_t n = 0;
    char *p;

    (void)state;
    vm_unmap_aliases();
    while (n < sizeof all / sizeof *all &&
           (all[n] = alloc_pages(GFP_HIGHUSER | __GFP_NORETRY, 0)) != NULL)
        n++;
    for (size_t i = 0; i < n; i++)
        if (page_to_frame(all[i]) % 256 != 0) {
            __free_pages(all[i], 0);
            all[i] = NULL;
        }
    kmem_vmalloc_stats(&before);
    p = vmalloc(8 * MIB);
    assert_non_null(p);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.huge, before.huge);
    memset(p, 1, 8 * MIB);
    assert_whole();
    vfree(p);
    vm_unmap_aliases();
    for (size_t i = 0; i < n; i++)
        if (all[i])
            __free_pages(all[i], 0);
    assert_int_equal(highmem_used(), 0);
}

static void test_beyond_the_pool(void **state)
{
    size_t calls;

    (void)state;
    vm_unmap_aliases();
    calls = system_calls();
    assert_null(vmalloc(129 * MIB));
    assert_null(vmalloc(SIZE_MAX));
    assert_null(vmalloc(SIZE_MAX - PAGE_SIZE));
    assert_int_equal(system_calls(), calls);
    /* Not more than there is, but more than can be had: all of it comes back. */
    char *held = vmalloc(100 * MIB);
    assert_non_null(held);
    assert_null(vmalloc(60 * MIB));
    vfree(held);
    /* What is lazy is there when it is needed. */
    held = vmalloc(110 * MIB);
    assert_non_null(held);
    vfree(held);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
    assert_whole();
}

static void test_vmap(void **state)
{
    struct page *p[5], *private = alloc_pages(GFP_KERNEL, 0);
    unsigned char *a, *b;

    (void)state;
    for (int i = 0; i < 5; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    a = vmap(p, 5, VM_MAP, PAGE_KERNEL);
    b = vmap((struct page *[]){p[4], p[3], p[2], p[1], p[0]}, 5, VM_MAP, PAGE_KERNEL_RO);
    assert_non_null(a);
    assert_non_null(b);
    for (int i = 0; i < 5; i++)
        memset(a + i * PAGE_SIZE, i + 1, PAGE_SIZE);
    for (int i = 0; i < 5; i++) {
        assert_true(is_filled(b + i * PAGE_SIZE, PAGE_SIZE, (unsigned char)(5 - i)));
        assert_true(is_filled(page_address(p[i]), PAGE_SIZE, (unsigned char)(i + 1)));
        assert_ptr_equal(vmalloc_to_page(b + i * PAGE_SIZE), p[4 - i]);
    }
    assert_int_equal(signal_of_touching((char *)b), SIGSEGV);
    assert_whole();
    vunmap(a);
    vunmap(b);
    vunmap(NULL);
    assert_int_equal(signal_of_touching((char *)a), SIGSEGV);
    /* Memory that no memfd has cannot be mapped a second time. */
    assert_null(vmap(&private, 1, VM_MAP, PAGE_KERNEL));
    __free_pages(private, 0);
    assert_null(vmap(p, 0, VM_MAP, PAGE_KERNEL));
    for (int i = 0; i < 5; i++)
        __free_pages(p[i], 0);
    assert_null(vmap(p, 1, VM_MAP, PAGE_KERNEL));
    assert_whole();
}

/* ---- Misuse ----------------------------------------------------------------------------------- */

static void misuse_stranger(void)
{
    int x = 0;

    vfree(&x);
}

static void misuse_inside(void)
{
    vfree((char *)vmalloc(3 * PAGE_SIZE) + PAGE_SIZE);
}

static void misuse_twice(void)
{
    void *p = vmalloc(PAGE_SIZE);

    vfree(p);
    vfree(p);
}

static void misuse_after_purge(void)
{
    void *p = vmalloc(PAGE_SIZE);

    vfree(p);
    vm_unmap_aliases();
    vfree(p);
}

static void misuse_vunmap(void)
{
    vunmap(vmalloc(PAGE_SIZE));
}

static void misuse_vfree(void)
{
    struct page *p = alloc_pages(GFP_HIGHUSER, 0);

    vfree(vmap(&p, 1, VM_MAP, PAGE_KERNEL));
}

static void test_misuse(void **state)
{
    static const struct {
        void (*body)(void);
        const char *said;
    } misuse[] = {
        {misuse_stranger, "slub: vfree(): not an area: '0x"},
        {misuse_inside, "vfree(): inside an area, expected its start: '0x"},
        {misuse_twice, "vfree(): the area was freed before: '0x"},
        {misuse_after_purge, "vfree(): not an area: '0x"},
        {misuse_vunmap, "vunmap(): an area of vmalloc(), expected vmap(); use vfree(): '0x"},
        {misuse_vfree, "vfree(): an area of vmap(), expected vmalloc(); use vunmap(): '0x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        char text[512];
        int status = 0;
        FILE *f = tmpfile();
        size_t n;
        pid_t child;

        fflush(NULL);
        child = fork();
        if (child == 0) {
            dup2(fileno(f), STDERR_FILENO);
            signal(SIGABRT, SIG_DFL);
            misuse[i].body();
            _exit(0);
        }
        waitpid(child, &status, 0);
        rewind(f);
        n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        fclose(f);
        assert_non_null(strstr(text, misuse[i].said));
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

/* ---- Random use ------------------------------------------------------------------------------- */

enum { SLOTS = 120 };

struct slot {
    unsigned char *at;
    size_t pages;
    unsigned char stamp;
};

static struct slot slots[SLOTS];

/* Every page has its stamp at both ends. */
static void stamp(struct slot *s, unsigned char with)
{
    s->stamp = with;
    for (size_t i = 0; i < s->pages; i++)
        s->at[i * PAGE_SIZE] = s->at[(i + 1) * PAGE_SIZE - 1] = (unsigned char)(with + i);
}

static void verify(const struct slot *s)
{
    for (size_t i = 0; i < s->pages; i++) {
        assert_int_equal(s->at[i * PAGE_SIZE], (unsigned char)(s->stamp + i));
        assert_int_equal(s->at[(i + 1) * PAGE_SIZE - 1], (unsigned char)(s->stamp + i));
    }
}

static void step(struct slot *s, uint64_t *random)
{
    if (s->at) {
        verify(s);
        vfree(s->at);
        s->at = NULL;
        return;
    }
    s->pages = 1 + next_random(random) % (1u << next_random(random) % 11);
    s->at = next_random(random) % 3 ? vmalloc(s->pages * PAGE_SIZE) : vzalloc(s->pages * PAGE_SIZE);
    if (s->at)
        stamp(s, (unsigned char)next_random(random));
}

static void empty_slots(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].at) {
            verify(&slots[i]);
            vfree(slots[i].at);
            slots[i].at = NULL;
        }
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(highmem_used(), 0);
    assert_ptr_equal(vmalloc_space.busy.root, NULL);
    assert_int_equal(vmalloc_space.free.root->longest, vmalloc_space.end - vmalloc_space.start);
}

static void use_at_random(uint64_t seed, int steps)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15u;

    for (int i = 0; i < steps; i++) {
        step(&slots[next_random(&random) % SLOTS], &random);
        if (i % 100 == 0)
            assert_whole();
        if (next_random(&random) % 256 == 0)
            vm_unmap_aliases();
        if (next_random(&random) % 256 == 0)
            kmem_pages_release(0);
    }
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        use_at_random(seed, 2500);
        empty_slots();
    }
}

static void test_random_with_refusals(void **state)
{
    (void)state;
    refusal.map = refusal.commit = refusal.map_memfd = refusal.hide = refusal.purge = true;
    for (uint64_t seed = 11; seed <= 13; seed++) {
        refusal.of_16 = 3;
        use_at_random(seed, 1500);
        refusal.of_16 = 0;
        empty_slots();
    }
    assert_true(refusal.refused > 100);
    refusal.map = refusal.commit = refusal.map_memfd = refusal.hide = refusal.purge = false;
}

/* ---- Closed descriptors, fork ----------------------------------------------------------------- */

/* A program that closes all descriptors it does not know. */
static void test_closed_descriptor(void **state)
{
    struct zone *z = node_zone(0, ZONE_HIGHMEM);
    unsigned char *p = vmalloc(8 * PAGE_SIZE), *q;
    int other;

    (void)state;
    memset(p, 3, 8 * PAGE_SIZE);
    close(z->fd);
    other = dup2(STDERR_FILENO, z->fd);
    vfree(p);
    q = vmalloc(9 * PAGE_SIZE);
    assert_non_null(q);
    memset(q, 4, 9 * PAGE_SIZE);
    for (size_t i = 0; i < 9; i++)
        assert_true(is_filled(page_address(vmalloc_to_page(q + i * PAGE_SIZE)), PAGE_SIZE, 4));
    vfree(q);
    vm_unmap_aliases();
    assert_whole();
    close(other);
}

static int child_of_fork(unsigned char *p, unsigned char *v, size_t bytes)
{
    char why[200];

    if (!is_filled(p, bytes, 7) || !is_filled(v, PAGE_SIZE, 7))
        return 1;
    memset(p, 9, bytes);
    if (!is_filled(v, PAGE_SIZE, 9))
        return 2;
    for (int i = 0; i < 20; i++) {
        unsigned char *q = vmalloc((size_t)(i + 1) * PAGE_SIZE);

        if (!q)
            return 3;
        memset(q, 0xee, (size_t)(i + 1) * PAGE_SIZE);
        if (i % 2)
            vfree(q);
    }
    if (!is_filled(p, bytes, 9))
        return 4;
    vunmap(v);
    vfree(p);
    vm_unmap_aliases();
    if (kmem_vmalloc_check(why, sizeof why) && kmem_pages_check(why, sizeof why))
        return 0;
    fprintf(stderr, "in the child: %s\n", why);
    return 5;
}

/* The child has what the parent had, and neither sees what the other writes. */
static void test_fork(void **state)
{
    size_t bytes = 3 * MIB + 5 * PAGE_SIZE;
    unsigned char *p = vmalloc(bytes), *v;
    struct page *first = vmalloc_to_page(p);
    int status;
    pid_t child;

    (void)state;
    v = vmap(&first, 1, VM_MAP, PAGE_KERNEL);
    memset(p, 7, bytes);
    child = fork();
    if (child == 0)
        _exit(child_of_fork(p, v, bytes));
    memset(p, 8, bytes);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_filled(p, bytes, 8));
    vunmap(v);
    vfree(p);
    vm_unmap_aliases();
    assert_whole();
}

/* ---- Threads ---------------------------------------------------------------------------------- */

enum { THREADS = 5 };
static bool stop;

static void *churn(void *seed)
{
    uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15u;
    struct slot mine[12] = {0};

    for (int i = 0; i < 1500 && !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        struct slot *s = &mine[next_random(&random) % 12];

        step(s, &random);
        if (i % 300 == 0)
            vm_unmap_aliases();
    }
    for (int i = 0; i < 12; i++)
        if (mine[i].at) {
            verify(&mine[i]);
            vfree(mine[i].at);
        }
    return NULL;
}

static void fork_once(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        char why[200];
        char *p = vmalloc(5 * PAGE_SIZE);

        alarm(30);
        if (p)
            memset(p, 1, 5 * PAGE_SIZE);
        vfree(p);
        _exit(p && kmem_vmalloc_check(why, sizeof why) && kmem_pages_check(why, sizeof why) ? 0
                                                                                            : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_threads(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 10; i++) {
        assert_whole();
        fork_once();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(highmem_used(), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_basics),
    cmocka_unit_test(test_zeroed),
    cmocka_unit_test(test_guard),
    cmocka_unit_test(test_scattered),
    cmocka_unit_test(test_lazy),
    cmocka_unit_test(test_purge_threshold),
    cmocka_unit_test(test_huge),
    cmocka_unit_test(test_huge_falls_back),
    cmocka_unit_test(test_beyond_the_pool),
    cmocka_unit_test(test_vmap),
    cmocka_unit_test(test_misuse),
    cmocka_unit_test(test_random),
    cmocka_unit_test(test_random_with_refusals),
    cmocka_unit_test(test_fork),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_closed_descriptor),
};

/* What other nodes have a part in: finding frames, and giving them back. */
static const struct CMUnitTest node_tests[] = {
    cmocka_unit_test(test_basics),          cmocka_unit_test(test_scattered),
    cmocka_unit_test(test_huge_falls_back), cmocka_unit_test(test_beyond_the_pool),
    cmocka_unit_test(test_random),          cmocka_unit_test(test_fork),
};

DEFINE_GROUP(vmalloc_group, tests)
DEFINE_GROUP(node_group, node_tests)

int main(void)
{
    const struct page_config one = {.pool_bytes = 32 * MIB, .highmem_bytes = 128 * MIB, .nodes = 1};
    const struct page_config two = {.pool_bytes = 32 * MIB, .highmem_bytes = 128 * MIB, .nodes = 2};

    refuse_start();
    pthread_atfork(kmem_pages_before_fork, kmem_pages_after_fork_parent,
                   kmem_pages_after_fork_child);
    return (in_child("one node", &one, vmalloc_group) + in_child("two nodes", &two, node_group)) !=
           0;
}
