/*
 * The memory barrier that reaching into other CPUs' blocks takes: it is asked for where there are other
 * threads, and where the system refuses it nobody looks into a block. A program then goes on with the slabs.
 */
#include "support.h"

#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "lock.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "percpu/blocks.h"
#include "slub/slub.h"

enum { OBJECTS = 2000, BLOCKS = 64 };

static struct kmem_os real;
static atomic_uint barriers;
static atomic_bool refused, filtered, stop, busy;
static struct kmem_cache *cache, *unused_cache, *direct_cache;
static void *kept; /* of direct_cache, of which CPUs hold nothing */
static const struct cpu_block *inherited[BLOCKS];
static unsigned nr_inherited;
static pthread_t other;
static cpu_set_t all_cpus;

static bool count_barrier(int command)
{
    bool registers = command != MEMBARRIER_CMD_PRIVATE_EXPEDITED &&
                     command != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;

    if (registers)
        return real.membarrier(command);
    barriers++;
    return !refused && real.membarrier(command);
}

/* Each object has its owner's mark for as long as it is his. */
static bool use_objects(unsigned char mark)
{
    static __thread unsigned char *p[OBJECTS];
    bool well = true;

    for (int i = 0; i < OBJECTS; i++)
        if (!(p[i] = i % 2 ? slub_malloc(100) : kmem_cache_alloc(cache, GFP_KERNEL)))
            return false;
        else
            memset(p[i], mark, 100);
    for (int i = 0; i < OBJECTS; i++) {
        well &= p[i][0] == mark && p[i][99] == mark;
        if (i % 2)
            slub_free(p[i]);
        else
            kmem_cache_free(cache, p[i]);
    }
    return well;
}

static void *use_until_stopped(void *unused)
{
    bool well = true;

    while (!stop) {
        well &= use_objects(2);
        busy = true;
    }
    return well ? &stop : unused;
}

static void remember_blocks(void)
{
    percpu_stop();
    for (struct cpu_block *b = percpu_blocks(); b && nr_inherited < BLOCKS; b = b->next)
        inherited[nr_inherited++] = b;
    percpu_resume();
}

static void make_caches(void)
{
    alarm(60);
    slub_start();
    cache = kmem_cache_create("barriers", 100, 0, SLAB_NO_MERGE, NULL);
    unused_cache = kmem_cache_create("unused", 100, 0, SLAB_NO_MERGE, NULL);
    direct_cache = kmem_cache_create("direct", 100, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    kept = kmem_cache_alloc(direct_cache, GFP_KERNEL);
}

/* Another thread is at work, and what this one's CPU holds is in its block. */
static void begin(void)
{
    make_caches();
    stop = busy = false;
    pthread_create(&other, NULL, use_until_stopped, NULL);
    while (!busy)
        sched_yield();
    use_objects(1);
    remember_blocks();
}

static bool end(void)
{
    void *well;

    stop = true;
    pthread_join(other, &well);
    return well != NULL;
}

/* Where threads pay for barriers of their own, as this process may not ask for any, there is nothing to see. */
static bool has_barriers(void)
{
    return real.membarrier(percpu_mode == PERCPU_RSEQ
                               ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ
                               : MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

/* ---- it is asked for ---- */

static void shrink(void)
{
    kmem_cache_shrink(cache);
}

static void trim(void)
{
    slub_malloc_trim(0);
}

static void check(void)
{
    assert_int_equal(kmem_check(), 0);
}

static void make_child(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
}

static void (*const stopping[])(void) = {shrink, trim, check, make_child};

enum { WAYS = sizeof stopping / sizeof stopping[0] };

static void with_one_thread(void)
{
    make_caches();
    use_objects(1);
    for (size_t i = 0; i < WAYS; i++)
        stopping[i]();
    _exit(single_threaded() && barriers > 0);
}

static void test_one_thread_needs_none(void **state)
{
    (void)state;
    assert_int_equal(ending_of(with_one_thread).status, 0);
}

static void test_asked_for(void **state)
{
    (void)state;
    begin();
    if (!has_barriers()) {
        end();
        skip();
    }
    for (size_t i = 0; i < WAYS; i++) {
        barriers = 0;
        stopping[i]();
        assert_true(barriers > 0);
    }
    assert_true(end());
}

/* ---- it is refused ---- */

/* On another CPU, if there is one. */
static void *is_ready(void *unused)
{
    cpu_set_t others = all_cpus;

    CPU_CLR(sched_getcpu(), &others);
    if (CPU_COUNT(&others) > 0)
        sched_setaffinity(0, sizeof others, &others);
    return percpu_ready(GFP_KERNEL) ? &stop : unused;
}

/* Nor does a new thread, or a CPU that had no block yet, get one that could not be stopped. */
static bool new_thread_is_ready(void)
{
    pthread_t thread;
    void *ready;

    pthread_create(&thread, NULL, is_ready, NULL);
    pthread_join(thread, &ready);
    return ready != NULL;
}

static bool blocks_are_out_of_reach(void)
{
    bool none;

    percpu_stop();
    none = !percpu_blocks();
    percpu_resume();
    return none && !percpu_reachable() && !percpu_ready(GFP_KERNEL) && !new_thread_is_ready();
}

/* Not those that a thread was perhaps just changing which the child does not have. */
static bool blocks_are_its_own(void)
{
    bool own = true;

    percpu_stop();
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        for (unsigned i = 0; i < nr_inherited; i++)
            own &= b != inherited[i] || b == slot_mine();
    percpu_resume();
    return own && percpu_reachable();
}

static bool registration_is_inherited(void)
{
    return filtered ||
           real.membarrier(percpu_mode == PERCPU_RSEQ ? MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
                                                      : MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

/* Whoever is alone needs no barrier, though the C library does not know that he is. */
static bool can_destroy(void)
{
    struct kmem_cache *own = kmem_cache_create("own", 100, 0, SLAB_NO_MERGE, NULL);

    kmem_cache_free(own, kmem_cache_alloc(own, GFP_KERNEL));
    if (kmem_cache_shrink(own) != 0)
        return false;
    kmem_cache_destroy(own);
    return true;
}

/* The child of a fork, beside whose parent another thread was inside its block. */
static bool works_as_child(void)
{
    return percpu_reachable() && percpu_ready(GFP_KERNEL) && use_objects(3) &&
           blocks_are_its_own() && slub_malloc_trim(0) >= 0 && kmem_check() == 0 &&
           use_objects(4) && can_destroy() && percpu_ready(GFP_KERNEL) &&
           registration_is_inherited() && use_objects(5);
}

static int child_works(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        alarm(20);
        _exit(!works_as_child());
    }
    return waitpid(child, &status, 0) == child ? status : -1;
}

/* The number of the step that went wrong. */
static int steps_without_barrier(void)
{
    if (!blocks_are_out_of_reach())
        return 1;
    if (!use_objects(1) || kmem_check() != 0)
        return 2;
    if (kmem_cache_shrink(cache) != 1 || kmem_cache_shrink(unused_cache) != 1)
        return 3;
    if (child_works() != 0)
        return 4;
    slub_malloc_trim(0);
    kmem_cache_destroy(cache); /* which says that it does not */
    kmem_cache_destroy(direct_cache);
    return use_objects(1) && blocks_are_out_of_reach() && kmem_check() == 0 ? 0 : 5;
}

static void without_barrier(void)
{
    int wrong;

    stay_on_this_cpu(); /* with the other thread: no other CPU gets a block */
    begin();
    if (!has_barriers())
        _exit(SKIPPED);
    refused = true;
    wrong = steps_without_barrier();
    if (wrong)
        _exit(wrong);
    if (!end())
        _exit(6);
    refused = false; /* and so all comes back */
    if (kmem_check() != 0 || !percpu_reachable() || !percpu_ready(GFP_KERNEL) || !use_objects(1))
        _exit(7);
    if (kmem_cache_shrink(cache) != 0)
        _exit(8);
    kmem_cache_free(direct_cache, kept);
    kmem_cache_destroy(direct_cache);
    kmem_cache_destroy(cache);
    kmem_cache_destroy(unused_cache);
    _exit(kmem_check() == 0 ? 0 : 9);
}

static void forbid_barriers(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof code[0], code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(SKIPPED);
    filtered = true;
}

/* The same by a program that gives up rights after its start, and for good. */
static void under_filter(void)
{
    int wrong;

    begin();
    if (!has_barriers())
        _exit(SKIPPED);
    forbid_barriers();
    wrong = steps_without_barrier();
    if (wrong)
        _exit(wrong);
    if (!end())
        _exit(6);
    while (!percpu_reachable()) /* the system may still count a thread that was joined */
        slub_malloc_trim(0);
    _exit(percpu_ready(GFP_KERNEL) && use_objects(1) && kmem_cache_shrink(cache) == 0 ? 0 : 7);
}

static unsigned lines(const char *text)
{
    unsigned n = 0;

    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        n++;
    }
    return n;
}

static void expect_to_go_on(void (*body)(void))
{
    struct ending e = ending_of(body);

    if (e.status == SKIPPED << 8)
        skip();
    if (e.status != 0)
        fail_msg("status %#x, '%s'", e.status, e.said);
    assert_non_null(strstr(e.said, "cache 'barriers' is kept: the system refuses membarrier()"));
    assert_non_null(strstr(e.said, "cache 'direct' still has objects, free them first: 0x"));
    assert_int_equal(lines(e.said), 2); /* each once */
}

static void test_refused(void **state)
{
    (void)state;
    expect_to_go_on(without_barrier);
}

static void test_filter(void **state)
{
    (void)state;
    expect_to_go_on(under_filter);
}

/* ---- a thread that stays in its slot ---- */

enum { STAYS_MOST = 1000 /* times 10 ms */, SLEEPS = 3 };

static bool slept;

/* How often the first thread gave up its CPU to wait, which to yield is not. */
static long waits(void)
{
    static const char name[] = "\nvoluntary_ctxt_switches:";
    char text[4096];
    const char *at = NULL;

    if (real.read_text("/proc/self/status", text, sizeof text) > 0)
        at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* Until who wants the slot has slept a few times, which leaves this thread the CPU. */
static void *stay_inside(void *unused)
{
    struct cpu_block *b = slot_mine() || slot_make() ? slot_enter() : NULL;
    long before = waits();

    busy = true;
    for (int i = 0; b && i < STAYS_MOST && !slept; i++) {
        usleep(10000);
        slept = before < 0 || (b->stopped && waits() >= before + SLEEPS);
    }
    if (b)
        slot_leave(b);
    return unused;
}

static void stop_beside_stayer(void)
{
    make_caches();
    if (percpu_mode != PERCPU_THREAD)
        _exit(SKIPPED);
    pthread_create(&other, NULL, stay_inside, NULL);
    while (!busy)
        sched_yield();
    percpu_stop();
    percpu_resume();
    pthread_join(other, NULL);
    _exit(slept ? 0 : 1);
}

static void test_stop_sleeps(void **state)
{
    struct ending e = ending_of(stop_beside_stayer);

    (void)state;
    if (e.status == SKIPPED << 8)
        skip();
    assert_int_equal(e.status, 0);
}

static void *wait_until_stopped(void *unused)
{
    while (!stop)
        usleep(1000);
    return unused;
}

/* What a refused flush could not reach is not forgotten: the next one that is granted its barrier has it. */
static void flush_later(void)
{
    make_caches();
    pthread_create(&other, NULL, wait_until_stopped, NULL);
    use_objects(1);
    if (!has_barriers())
        _exit(SKIPPED);
    for (int i = 0; i < 3; i++) { /* what barns and slabs have */
        refused = true;
        note_idle();
        if (!slub_keeper.flush_idle())
            _exit(1);
        refused = false;
        if (!slub_keeper.has_idle())
            _exit(2);
    }
    for (int i = 0; i < 3 && slub_keeper.has_idle(); i++)
        slub_keeper.flush_idle();
    if (slub_keeper.has_idle())
        _exit(3);
    stop = true;
    pthread_join(other, NULL);
    _exit(0);
}

static void test_refused_flush(void **state)
{
    struct ending e = ending_of(flush_later);

    (void)state;
    if (e.status == SKIPPED << 8)
        skip();
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), /* in children first: these have not started yet */
        cmocka_unit_test(test_filter),        cmocka_unit_test(test_stop_sleeps),
        cmocka_unit_test(test_refused_flush), cmocka_unit_test(test_one_thread_needs_none),
        cmocka_unit_test(test_asked_for),
    };

    sched_getaffinity(0, sizeof all_cpus, &all_cpus);
    real = kmem_os;
    kmem_os.membarrier = count_barrier;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
