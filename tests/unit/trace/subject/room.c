/* Little room: a thread's least stack, a handler's, the kernel's limit for an environment. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scene.h"

static char self[] = "/proc/self/exe";

static int run_on_least_stack(void *(*function)(void *))
{
    pthread_attr_t least;
    pthread_t thread;
    void *result;
    pthread_attr_init(&least);
    return pthread_attr_setstacksize(&least, PTHREAD_STACK_MIN) != 0 ||
           pthread_create(&thread, &least, function, NULL) != 0 ||
           pthread_join(thread, &result) != 0 || result != NULL;
}

static int least_stack(void)
{
    return run_on_least_stack(rounds);
}

static char pairs_mode[] = "pairs", *pairs_words[] = {self, pairs_mode, NULL}, **large_environment;

static void *forks_and_execs(void *unused)
{
    (void)unused;
    pid_t child = fork();
    if (child == 0) {
        execve(self, pairs_words, large_environment);
        _exit(1);
    }
    return failed(child) ? pairs_words : NULL;
}

/* A child's thread has no more room for a large environment than its parent's has. */
static int forks_on_least_stack(void)
{
    large_environment = many(5000, "A=1");
    return run_on_least_stack(forks_and_execs);
}

/* Has the signal handled on an alternate stack of 8 KiB, below which lies nothing. */
static int handle_on_small_stack(void (*handler)(int))
{
    enum { BELOW = 1 << 16, BYTES = 8192 };
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    char *area =
        mmap(NULL, BELOW + BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stack_t stack = {.ss_sp = area + BELOW, .ss_size = BYTES};
    return mprotect(area + BELOW, BYTES, PROT_READ | PROT_WRITE) != 0 ||
           sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0;
}

static void calls(int signal)
{
    (void)signal;
    pairs();
}

/* The thread's first call, and all others, of which some go on to the next segment. */
static void *raise_at_first(void *unused)
{
    (void)unused;
    return handle_on_small_stack(calls) != 0 || raise(SIGUSR1) != 0 ? pairs_words : NULL;
}

static int calls_in_a_handler(void)
{
    pthread_t thread;
    void *result;
    return pthread_create(&thread, NULL, raise_at_first, NULL) != 0 ||
           pthread_join(thread, &result) != 0 || result != NULL;
}

static void becomes_pairs(int signal)
{
    (void)signal;
    execve(self, pairs_words, large_environment);
    _exit(1);
}

static int execs_in_a_handler(void)
{
    large_environment = many(900, "A=1");
    return handle_on_small_stack(becomes_pairs) != 0 ? 1 : raise(SIGUSR1);
}

static char *const plain[] = {"true", NULL};

/* Whether the kernel begins a program with so many of the variables, of 100 bytes or so each. */
static int takes(char **variables, size_t count)
{
    char *after = variables[count];
    variables[count] = NULL;
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_execve, "/bin/true", plain, variables);
        _exit(1);
    }
    variables[count] = after;
    return !failed(child);
}

/* An environment that the kernel takes, but not with the recorder's variables in it. */
static char **edge(size_t *count)
{
    static char variable[] =
        "A=.........................................................................";
    size_t high = 200000;
    char **variables = many(high, variable);
    for (*count = 1; high - *count > 1;) {
        size_t middle = (*count + high) / 2;
        if (takes(variables, middle))
            *count = middle;
        else
            high = middle;
    }
    variables[*count] = NULL;
    return variables;
}

static int execs_at_the_edge(void)
{
    size_t count;
    char **variables = edge(&count);
    pid_t child = fork();
    if (child == 0) {
        execve("/bin/true", plain, variables);
        _exit(1);
    }
    return failed(child);
}

/* And one that the kernel does not take either. */
static int spawns_at_the_edge(void)
{
    size_t count;
    pid_t child;
    char **variables = edge(&count);
    if (posix_spawn(&child, "/bin/true", NULL, NULL, plain, variables) != 0 || failed(child))
        return 1;
    variables[count] = variables[0];
    variables[count + 1] = variables[0];
    variables[count + 2] = NULL;
    return posix_spawn(&child, "/bin/true", NULL, NULL, plain, variables) != E2BIG;
}

const struct scene room_scenes[] = {
    {"least_stack", least_stack},
    {"forks_on_least_stack", forks_on_least_stack},
    {"calls_in_a_handler", calls_in_a_handler},
    {"execs_in_a_handler", execs_in_a_handler},
    {"execs_at_the_edge", execs_at_the_edge},
    {"spawns_at_the_edge", spawns_at_the_edge},
    {NULL, NULL},
};
