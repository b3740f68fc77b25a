/*
 * Forks beside the very first call: whatever part of the start another thread is in, the child must be able
 * to allocate. Each round in a process of its own, which has not started yet. And forks beside vmalloc, whose
 * part of a fork only the whole allocator calls.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "vmalloc/meta.h"
#include "vmalloc/space.h"

enum { THREADS = 3, ROUNDS = 150, CALLS_OF_A_START = 16 };

static atomic_bool inside;  /* another thread holds one of vmalloc's locks */
static atomic_bool entered; /* or did so: on a busy machine nobody may look while it does */
static char *area;          /* of the parent, if there is one */

/* In the child of the fork; a lock that nobody will drop is what the alarm is for. */
static _Noreturn void use_everything(void)
{
    struct kmem_cache *s;
    char *new;

    alarm(20);
    if (inside)
        _exit(3);
    if (area)
        area[0]++;
    slub_free(slub_malloc(100));
    s = kmem_cache_create("after fork", 200, 0, SLAB_NO_MERGE, NULL);
    kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL));
    new = vmalloc(3 * PAGE_SIZE);
    memset(new, 1, 3 * PAGE_SIZE);
    vfree(new);
    _exit(kmem_check() == 0 ? 0 : 2);
}

/* Of a fork here. */
static int status_of_child(void)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        use_everything();
    return waitpid(child, &status, 0) == child ? status : -1;
}

/* ---- at a chosen point of the start ---- */

static struct kmem_os real;
static int stop_at; /* the so manieth call into the system, from 1 */
static atomic_int calls;
static atomic_bool stopped;

/* As long as it takes to fork here, unless that waits for us. */
static void call_of_start(void)
{
    if (++calls != stop_at)
        return;
    stopped = true;
    usleep(5000);
}

static void *slow_reserve(size_t bytes)
{
    call_of_start();
    return real.reserve(bytes);
}

static void *slow_map(size_t bytes)
{
    call_of_start();
    return real.map(bytes);
}

static bool slow_commit(void *start, size_t bytes)
{
    call_of_start();
    return real.commit(start, bytes);
}

static int slow_memfd(size_t bytes)
{
    call_of_start();
    return real.memfd(bytes);
}

static void *first_call(void *unused)
{
    (void)unused;
    vfree(vmalloc(PAGE_SIZE));
    stopped = true; /* there were fewer calls */
    return NULL;
}

static _Noreturn void fork_in_start(void)
{
    pthread_t thread;
    int status;

    real = kmem_os;
    kmem_os.reserve = slow_reserve;
    kmem_os.map = slow_map;
    kmem_os.commit = slow_commit;
    kmem_os.memfd = slow_memfd;
    pthread_create(&thread, NULL, first_call, NULL);
    while (!stopped)
        sched_yield();
    status = status_of_child();
    pthread_join(thread, NULL);
    _exit(status != 0);
}

static void test_fork_at_each_step(void **state)
{
    (void)state;
    for (stop_at = 1; stop_at <= CALLS_OF_A_START; stop_at++) {
        struct ending e = ending_of(fork_in_start);

        if (e.status != 0)
            fail_msg("forked at call %d of the start: status %#x, '%s'", stop_at, e.status, e.said);
    }
}

/* ---- at any point ---- */

static atomic_bool go;
static uint64_t dice = 88172645463325252u;

static void *call_something(void *kind)
{
    while (!go)
        ;
    switch ((uintptr_t)kind) {
    case 0: slub_free(slub_malloc(1000)); break;
    case 1: vfree(vmalloc(10000)); break;
    default: kmem_cache_destroy(kmem_cache_create("first", 64, 0, SLAB_NO_MERGE, NULL));
    }
    return NULL;
}

static _Noreturn void fork_beside_first_calls(void)
{
    pthread_t thread[THREADS];
    unsigned spins = (unsigned)(dice % 200000) >> dice / 200000 % 12;
    int status;

    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, call_something, (void *)i);
    go = true;
    while (spins-- > 0)
        __asm__ volatile("");
    status = status_of_child();
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    _exit(status != 0);
}

static void test_fork_at_random(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct ending e;

        next_random(&dice);
        e = ending_of(fork_beside_first_calls);
        if (e.status != 0)
            fail_msg("round %d: status %#x, '%s'", i, e.status, e.said);
    }
}

/* ---- forks of a process that never called ---- */

static _Noreturn void fork_before_any_call(void)
{
    _exit(status_of_child() != 0 || status_of_child() != 0);
}

static void test_fork_without_start(void **state)
{
    struct ending e = ending_of(fork_before_any_call);

    (void)state;
    assert_int_equal(e.status, 0);
}

/* ---- forks beside vmalloc ---- */

static struct lock *const vmalloc_locks[] = {&vmalloc_space.purge_lock, &vmalloc_space.lock,
                                             &meta_lock};

static void *hold_for_a_while(void *lock)
{
    lock_take(lock);
    inside = true;
    entered = true;
    usleep(5000);
    inside = false;
    lock_drop(lock);
    return NULL;
}

/* The fork waits for the holder; the child has the areas, and memory of its own in them. */
static _Noreturn void fork_beside_vmalloc(void)
{
    area = vmalloc(PAGE_SIZE);
    area[0] = 1;
    for (size_t i = 0; i < sizeof vmalloc_locks / sizeof vmalloc_locks[0]; i++) {
        pthread_t thread;
        int status;

        entered = false;
        pthread_create(&thread, NULL, hold_for_a_while, vmalloc_locks[i]);
        while (!entered)
            sched_yield();
        status = status_of_child();
        pthread_join(thread, NULL);
        if (status != 0 || area[0] != 1)
            _exit(status ? 10 + (int)i : 20);
    }
    vfree(area);
    _exit(kmem_check() != 0);
}

static void test_fork_beside_vmalloc(void **state)
{
    struct ending e = ending_of(fork_beside_vmalloc);

    (void)state;
    assert_int_equal(e.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_at_each_step),
        cmocka_unit_test(test_fork_at_random),
        cmocka_unit_test(test_fork_without_start),
        cmocka_unit_test(test_fork_beside_vmalloc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
