/*
 * Forks in the handler of a signal, in a process of one thread: whatever part of malloc, or of vmalloc, the signal
 * interrupts, the fork does not wait for it, and what was interrupted goes on in the parent and in the child.
 */
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "vmalloc/space.h"

enum { FORKS = 160, GO_ON_EVERY = 8, SLOTS = 512, STEPS_OF_CHILD = 1000, SECONDS = 100 };

static volatile sig_atomic_t forks, children_well, is_child;
/* While no areas were being unmapped together. */
static volatile sig_atomic_t usual_forks, usual_well;
static uint64_t random_state = 1;

/* ---- the heap, whose objects know their contents ---- */

static struct slot {
    unsigned char *start;
    size_t bytes;
    unsigned char tag;
} slots[SLOTS];

static void expect_tag(const struct slot *s)
{
    if (s->start && (s->start[0] != s->tag || s->start[s->bytes - 1] != s->tag))
        _exit(3);
}

static void set_tag(struct slot *s)
{
    if (!s->start)
        _exit(4);
    s->tag = (unsigned char)next_random(&random_state);
    s->start[0] = s->start[s->bytes - 1] = s->tag;
}

/* Objects, blocks, runs and mappings. */
static size_t some_bytes(void)
{
    uint64_t r = next_random(&random_state);

    return 1 + r % (r % 64 == 0 ? 6 * MIB : r % 8 == 0 ? 300000 : 3000);
}

static void use_malloc(void)
{
    struct slot *s = &slots[next_random(&random_state) % SLOTS];
    size_t bytes = some_bytes();

    expect_tag(s);
    if (bytes % 4 == 0) {
        s->start = slub_realloc(s->start, bytes);
    } else {
        slub_free(s->start);
        s->start = slub_malloc(bytes);
    }
    s->bytes = bytes;
    set_tag(s);
    if (bytes % 256 == 0)
        slub_malloc_trim(0);
}

static void use_vmalloc(void)
{
    struct slot *s = &slots[next_random(&random_state) % 16];
    size_t bytes = 1 + next_random(&random_state) % 100000;

    expect_tag(s);
    vfree(s->start);
    s->start = bytes % 2 ? vmalloc(bytes) : vzalloc(bytes);
    s->bytes = bytes;
    set_tag(s);
    if (bytes % 16 == 0)
        vm_unmap_aliases();
}

/* ---- signals ---- */

/* Once, so that what it interrupts gets on between two of them. */
static void set_timer(void)
{
    struct itimerval soon = {.it_value = {0, 100 + forks % 7 * 100}};

    setitimer(ITIMER_REAL, &soon, NULL);
}

/* A child of whom every other one goes on with what was interrupted. */
static void fork_here(int signal)
{
    bool purging = lock_is_taken(&vmalloc_space.purge_lock);
    int saved = errno, status = 1;
    pid_t child = fork();

    (void)signal;
    if (child == 0) {
        alarm(SECONDS);
        if (forks % GO_ON_EVERY != 0)
            _exit(0);
        is_child = 1;
        errno = saved;
        return;
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        _exit(5);
    children_well += status == 0;
    usual_forks += !purging;
    usual_well += !purging && status == 0;
    if (status != 0 && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT))
        _exit(6);
    forks++;
    set_timer();
    errno = saved;
}

static void be_interrupted(void (*step)(void))
{
    struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART};
    struct sigaction die = {.sa_handler = SIG_DFL};

    sigaction(SIGALRM, &action, NULL);
    set_timer();
    while (!is_child && forks < FORKS)
        step();
    if (!is_child)
        return;
    sigaction(SIGALRM, &die, NULL);
    for (int i = 0; i < STEPS_OF_CHILD; i++)
        step();
    _exit(kmem_check() != 0);
}

static void malloc_interrupted(void)
{
    be_interrupted(use_malloc);
    if (children_well != forks || kmem_check() != 0)
        _exit(1);
}

static void test_malloc_interrupted(void **state)
{
    struct ending e = ending_of(malloc_interrupted);

    (void)state;
    if (e.status != 0 || e.said[0])
        fail_msg("status %#x, '%s'", e.status, e.said);
}

/* A child ends, and says why, where the lists of areas were just being changed: seldom, but for a purge. */
static void vmalloc_interrupted(void)
{
    be_interrupted(use_vmalloc);
    if (usual_well == 0 || usual_well * 2 < usual_forks || kmem_check() != 0)
        _exit(1);
}

static void test_vmalloc_interrupted(void **state)
{
    struct ending e = ending_of(vmalloc_interrupted);

    (void)state;
    if (e.status != 0)
        fail_msg("status %#x, '%s'", e.status, e.said);
    if (e.said[0])
        assert_non_null(strstr(e.said, "slub: fork(): in the handler of a signal that came in the "
                                       "middle of vmalloc()"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malloc_interrupted),
        cmocka_unit_test(test_vmalloc_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
