/*
 * Children of vfork() that allocate and free beside the other threads of their parent, in its memory: no object
 * has two owners, and the parent is on its CPU again afterwards.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "percpu/percpu.h"

enum { THREADS = 2, CHILDREN = 200, PAIRS = 40000, SLOTS = 64, BYTES = 48 };

/* The one that the shared object exports. */
__attribute__((returns_twice)) pid_t preloaded_vfork(void);
RSEQ_DEFINE_VFORK(preloaded_vfork, percpu_after_vfork_parent)

static atomic_bool stop;
static atomic_uint damaged;

static int cpu_id(void)
{
    const volatile struct rseq *area =
        (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);

    return (int)area->cpu_id;
}

static void replace(unsigned char **slot, unsigned char tag)
{
    for (int i = 0; *slot && i < BYTES; i++)
        if ((*slot)[i] != tag) {
            damaged++;
            break;
        }
    slub_free(*slot);
    *slot = slub_malloc(BYTES);
    memset(*slot, tag, BYTES);
}

static __attribute__((noinline)) void use_heap(uint64_t seed, unsigned pairs, unsigned char tag)
{
    unsigned char *slots[SLOTS] = {0};

    for (unsigned i = 0; i < pairs && !stop; i++)
        replace(&slots[next_random(&seed) % SLOTS], tag);
    for (unsigned i = 0; i < SLOTS; i++)
        slub_free(slots[i]);
}

static void *work(void *tag)
{
    use_heap((uintptr_t)tag, UINT32_MAX, (unsigned char)(uintptr_t)tag);
    return NULL;
}

static __attribute__((noinline)) void expect_child_well(pid_t child)
{
    int status = 1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void be_a_parent(unsigned seed)
{
    pid_t child = preloaded_vfork();

    if (child == 0) {
        use_heap(seed + 1000, PAIRS, 0x77);
        _exit(0);
    }
    expect_child_well(child);
}

static void test_children_allocate(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < CHILDREN && !damaged; i++)
        be_a_parent(i);
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    stop = false;
    assert_int_equal(damaged, 0);
    assert_int_equal(kmem_check(), 0);
}

/* A child's own child leaves it without a CPU, and both leave the parent with its own. */
static void test_child_of_child(void **state)
{
    int before = cpu_id(), status;
    pid_t child = preloaded_vfork(), inner;

    (void)state;
    if (child == 0) {
        inner = preloaded_vfork();
        if (inner == 0)
            _exit(cpu_id() >= 0);
        status = 1;
        waitpid(inner, &status, 0);
        _exit(status != 0 || cpu_id() >= 0);
    }
    expect_child_well(child);
    assert_int_equal(cpu_id() >= 0, before >= 0);
}

/* As where the kernel does not write the number of a parent that stayed where it was. */
static void test_number_put_back(void **state)
{
    volatile struct rseq *area =
        (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    int cpu = cpu_id();

    (void)state;
    if (!machine_has_rseq()) {
        print_message("skipped: the C library has not registered rseq (valgrind, or turned off)\n");
        skip();
    }
    stay_on_this_cpu();
    area->cpu_id = (unsigned)RSEQ_CPU_ID_UNINITIALIZED;
    assert_int_equal(percpu_after_vfork_parent(7, cpu), 7);
    assert_true(cpu_id() >= 0);
    assert_int_equal(percpu_after_vfork_parent(-EAGAIN, cpu), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(cpu_id() >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children_allocate),
        cmocka_unit_test(test_child_of_child),
        cmocka_unit_test(test_number_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
