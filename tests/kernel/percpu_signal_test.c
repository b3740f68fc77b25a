/*
 * Signals in restartable sequences: the kernel resumes an interrupted section where it starts again, and
 * whoever walks the stack from the handler, as profilers do, must find the way out from there.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "percpu/percpu.h"

enum { SIGNALS_MOST = 20000, RESTARTS = 100, SIGNATURE = 0x53053053 };

static atomic_bool started, stop;
static atomic_uint handled, restarts, lost;
static struct kmem_cache *cache;
static void (*operation)(void);

static void use_cache(void)
{
    kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
}

static void use_kmalloc(void)
{
    kfree(kmalloc(64, GFP_KERNEL));
}

static void use_malloc(void)
{
    slub_free(slub_malloc(64));
}

/* What every stack must lead to. */
static __attribute__((noinline)) void *work(void *unused)
{
    started = true;
    while (!stop)
        operation();
    return unused;
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *found)
{
    if (_Unwind_GetRegionStart(context) == (_Unwind_Ptr)work)
        *(bool *)found = true;
    return _URC_NO_REASON;
}

static void look_around(int signal, siginfo_t *info, void *context)
{
    const char *at = (const char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    uint32_t before;
    bool found = false;

    (void)signal;
    (void)info;
    memcpy(&before, at - sizeof before, sizeof before);
    _Unwind_Backtrace(visit, &found);
    restarts += before == SIGNATURE;
    lost += !found;
    handled++;
}

static void interrupt_often(void (*what)(void))
{
    unsigned sent = 0;
    pthread_t thread;

    operation = what;
    started = stop = false;
    handled = restarts = lost = 0;
    what(); /* what is made at the first call is there */
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    while (!started)
        sched_yield();
    while (sent < SIGNALS_MOST && restarts < RESTARTS) {
        pthread_kill(thread, SIGUSR1);
        sent++;
        while (handled < sent)
            sched_yield();
    }
    stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(lost, 0);
    assert_true(restarts > 0);
    assert_int_equal(kmem_check(), 0);
}

static void test_stack_from_signals(void **state)
{
    struct sigaction action = {.sa_sigaction = look_around, .sa_flags = SA_SIGINFO};

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    cache = kmem_cache_create("signal", 64, 0, SLAB_NO_MERGE, NULL);
    use_cache();
    if (!machine_has_rseq()) {
        print_message("skipped: the C library has not registered rseq (valgrind, or turned off)\n");
        skip();
    }
    assert_int_equal(percpu_mode, PERCPU_RSEQ);
    interrupt_often(use_cache);
    interrupt_often(use_kmalloc);
    interrupt_often(use_malloc);
    kmem_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stack_from_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
