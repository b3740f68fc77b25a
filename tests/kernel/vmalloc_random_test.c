/*
 * vmalloc used at random against a model, with the system refusing now and then; among threads, across fork,
 * and with its descriptors closed.
 */
#include "page_support.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pool.h"
#include "vmalloc/space.h"

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
    cmocka_unit_test(test_random),
    cmocka_unit_test(test_random_with_refusals),
    cmocka_unit_test(test_fork),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_closed_descriptor),
};

static const struct CMUnitTest node_tests[] = {
    cmocka_unit_test(test_random),
    cmocka_unit_test(test_fork),
};

DEFINE_GROUP(random_group, tests)
DEFINE_GROUP(node_group, node_tests)

int main(void)
{
    return in_vmalloc_pools(random_group, node_group) != 0;
}
