/*
 * The program that the recording tests record: subject MODE. Each mode makes allocator calls whose
 * numbers the tests know; it prints nothing, because printing allocates. Sizes are odd numbers
 * above 100,000 where a test looks for them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "workloads/trace/raw.h"

enum { ROUNDS = 10000 };

static void *volatile keep; /* the compiler must not remove a pair of calls */

static void *grab(size_t size)
{
    void *block = malloc(size);
    keep = block;
    return block;
}

static int nothing(void)
{
    return 0;
}

static int every_call(void)
{
    free(grab(100001));
    free(calloc(100003, 1));
    free(realloc(grab(100005), 200007));
    free(reallocarray(NULL, 100009, 1));
    free(memalign(64, 100011));
    free(aligned_alloc(64, 100032));
    free(valloc(100013));
    free(pvalloc(100015));
    void *block;
    if (posix_memalign(&block, 128, 100017) != 0)
        return 1;
    free(block);
    free(NULL);
    keep = realloc(grab(100019), 0);
    free(grab(0));
    volatile size_t huge = SIZE_MAX / 2;
    keep = malloc(huge);
    return keep == NULL ? 0 : 1;
}

/* One that stays where it is, and one that cannot. */
static int reallocs(void)
{
    char *block = malloc(90001);
    if (realloc(block, 80003) != block)
        return 1;
    block = malloc(101);
    keep = malloc(103); /* behind it */
    return realloc(block, 70001) == block;
}

static int pairs(void)
{
    for (int i = 0; i < ROUNDS; i++)
        free(grab((size_t)i % 500));
    return 0;
}

/* Calls without end, for a test that kills it. */
static _Noreturn int endless(void)
{
    for (;;)
        pairs();
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 8, BOX = 64 };

static void *_Atomic boxes[THREADS][BOX];

/* Puts blocks into one box and empties another: most are freed by a thread that did not make them. */
static void *exchange(void *argument)
{
    uintptr_t self = (uintptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        free(__atomic_exchange_n((void **)&boxes[self][i % BOX], grab((size_t)(i % 300)),
                                 __ATOMIC_ACQ_REL));
        free(__atomic_exchange_n((void **)&boxes[(self + 1) % THREADS][i % BOX], NULL,
                                 __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static int threads(void)
{
    pthread_t ids[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, exchange, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < BOX; j++)
            free(boxes[i][j]);
    return 0;
}

static void *one_block(void *argument)
{
    return grab((size_t)(uintptr_t)argument);
}

/* 500 threads one after the other; each one's block is freed by the main thread. */
static int short_lived(void)
{
    for (uintptr_t i = 0; i < 500; i++) {
        pthread_t id;
        void *block;
        pthread_create(&id, NULL, one_block, (void *)(i + 100));
        pthread_join(id, &block);
        free(block);
    }
    return 0;
}

static pthread_barrier_t parents_are_gone;

static void *calls_late(void *argument)
{
    pthread_barrier_wait(&parents_are_gone);
    free(grab(100001));
    return argument;
}

static void *starts_another(void *child)
{
    free(grab(100003));
    return pthread_create(child, NULL, calls_late, NULL) == 0 ? child : NULL;
}

/* Threads that were started by others, which are joined before their first call. */
static int joined_parents(void)
{
    pthread_t parent, children[3];
    pthread_barrier_init(&parents_are_gone, NULL, 4);
    for (int i = 0; i < 3; i++)
        if (pthread_create(&parent, NULL, starts_another, &children[i]) != 0 ||
            pthread_join(parent, NULL) != 0)
            return 1;
    pthread_barrier_wait(&parents_are_gone);
    for (int i = 0; i < 3; i++)
        pthread_join(children[i], NULL);
    return 0;
}

static pthread_key_t key;

static void *set_key(void *argument)
{
    pthread_setspecific(key, grab(100001));
    return argument;
}

/* The thread's block is freed by a destructor, when most of the thread is gone. */
static int late_free(void)
{
    pthread_t id;
    pthread_key_create(&key, free);
    pthread_create(&id, NULL, set_key, NULL);
    return pthread_join(id, NULL);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The child's calls must not appear; the parent's before and after must. */
static int forks(void)
{
    void *before = grab(100001);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < ROUNDS; i++)
            grab(100003);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    free(before);
    free(grab(100005));
    return 0;
}

/* The child makes one call, which fails. */
static int child_fails(void)
{
    void *block = grab(100001);
    volatile size_t huge = SIZE_MAX / 2;
    pid_t child = fork();
    if (child == 0)
        _exit(realloc(block, huge) != NULL);
    int status;
    return waitpid(child, &status, 0) == child ? status : 1;
}

/* In a vforked child calls go to the parent's own memory: they are the parent's calls. */
static int vforks(void)
{
    static void *volatile block;
    block = grab(100001);
    pid_t child = vfork();
    if (child == 0) {
        free(block);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    free(grab(100005));
    return WEXITSTATUS(status);
}

static int execs(void)
{
    free(grab(100001));
    execl("/bin/ls", "ls", "/", NULL);
    return 1;
}

/* Its environment is what the ways below give it, and what the recorder needs. */
static int has_own_environment(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    if (getenv("OWN") == NULL || getenv("HEAPMARK_RECORD") == NULL || preloaded == NULL ||
        environ[3] != NULL || strstr(preloaded, "libhm_record.so") == NULL)
        return 1;
    return pairs();
}

static char self[] = "/proc/self/exe", mode[] = "has_own_environment";
static char *words[] = {self, mode, NULL}, *own[] = {"OWN=1", NULL};

enum way {
    EXECVE,
    EXECV,
    EXECVPE,
    EXECVP,
    EXECL,
    EXECLP,
    EXECLE,
    FEXECVE,
    EXECVEAT,
    WAYS,
};

static void exec_anew(enum way way)
{
    int descriptor = open(self, O_RDONLY | O_CLOEXEC);
    if (way == EXECV || way == EXECVP || way == EXECL || way == EXECLP)
        environ = own;
    switch (way) {
    case EXECVE: execve(self, words, own); break;
    case EXECV: execv(self, words); break;
    case EXECVPE: execvpe(self, words, own); break;
    case EXECVP: execvp(self, words); break;
    case EXECL: execl(self, self, mode, NULL); break;
    case EXECLP: execlp(self, self, mode, NULL); break;
    case EXECLE: execle(self, self, mode, NULL, own); break;
    case FEXECVE: fexecve(descriptor, words, own); break;
    default: execveat(descriptor, "", words, own, AT_EMPTY_PATH);
    }
    _exit(77);
}

static int failed(pid_t child)
{
    int status = -1;
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

/* Bytes that the process has mapped. The recorder must leave none behind in a parent. */
static long mapped_bytes(void)
{
    char text[64] = "";
    int descriptor = open("/proc/self/statm", O_RDONLY);
    ssize_t got = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return got > 0 ? atol(text) : -1;
}

/* Variables that do not fit a small stack. */
static char **many(size_t count, char *each)
{
    char **all = mmap(NULL, (count + 1) * sizeof *all, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; i++)
        all[i] = each;
    return all;
}

/* Every function of the exec family begins a program that is recorded, with three variables. */
static int execs_anew(void)
{
    int failures = 0;
    pid_t child;
    for (enum way way = 0; way < WAYS; way++) {
        child = fork();
        if (child == 0)
            exec_anew(way);
        failures += failed(child);
    }
    failures += posix_spawn(&child, self, NULL, NULL, words, own) != 0 || failed(child);
    failures += posix_spawnp(&child, self, NULL, NULL, words, own) != 0 || failed(child);
    return failures;
}

/* Nor does a child of vfork() leave anything behind in its parent, also of a large environment. */
static int vforks_anew(void)
{
    char *const *before = environ, *pairs_words[] = {self, "pairs", NULL};
    const char *preloaded = getenv("LD_PRELOAD");
    char **large = many(5000, "A=1");
    char long_one[] =
        "X=............................................................................";
    char **too_large = many(200000, long_one);
    char **far_too_large = many(2000000, "A=1"); /* for any stack */
    long mapped = mapped_bytes();
    for (int i = 0; i < 2; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execve(self, i == 0 ? words : pairs_words, i == 0 ? own : large);
            _exit(1);
        }
        if (failed(child))
            return 1;
    }
    if (execve(self, words, too_large) != -1 || errno != E2BIG)
        return 2;
    pid_t child = vfork();
    if (child == 0) {
        execve(self, words, far_too_large);
        _exit(errno != E2BIG);
    }
    if (failed(child))
        return 3;
    if (posix_spawn(&child, self, NULL, NULL, pairs_words, large) != 0 || failed(child))
        return 4;
    return environ != before || getenv("LD_PRELOAD") != preloaded || mapped_bytes() != mapped;
}

/* Becomes nothing, and says so; then goes on. */
static int fails_to_exec(void)
{
    char *const script[] = {"./static", NULL};
    execve("./static", script, many(200000, "A=............................................."));
    return errno == E2BIG ? pairs() : 1;
}

static int spawns_static(void)
{
    char *const program[] = {"./static", NULL};
    pid_t child;
    return posix_spawn(&child, program[0], NULL, NULL, program, own) != 0 || failed(child) ||
           pairs();
}

/* There is a recording of as many processes as it holds. */
static int fills_table(void)
{
    int descriptor = open(getenv(RAW_ENV), O_RDWR);
    struct raw_header *header =
        mmap(NULL, RAW_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (header == MAP_FAILED || pairs() != 0)
        return 1;
    header->processes = RAW_PROCESSES_MAX;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(pairs());
        if (failed(child))
            return 2;
    }
    return 0;
}

/* ---- bad ends and bad company ---------------------------------------------------------------- */

static int killed(void)
{
    pairs();
    kill(getpid(), SIGKILL);
    return 0;
}

static int crashes(void)
{
    pairs();
    volatile int *nowhere = NULL;
    return *nowhere;
}

static int exits_at_once(void)
{
    pairs();
    _exit(3);
}

static int fails(void)
{
    return pairs() + 7;
}

/* Closes every descriptor, opens others in their places, and goes elsewhere. */
static int closes_all(void)
{
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    for (int fd = 0; fd < 16; fd++)
        if (open("/dev/null", O_RDWR) < 0)
            return 1;
    if (chdir("/") != 0)
        return 1;
    return pairs() + pairs();
}

/* Goes where no path leads back, and forks there. */
static int changes_root(void)
{
    if (chroot("/proc/self") != 0 || chdir("/") != 0)
        return 1;
    pid_t child = fork();
    pairs();
    if (child == 0)
        _exit(0);
    int status;
    return waitpid(child, &status, 0) == child ? status : 1;
}

static void handler(int signal)
{
    (void)signal;
    free(grab(100001));
}

/* Signals whose handler allocates, as handlers should not but do. */
static int signals(void)
{
    signal(SIGUSR1, handler);
    for (int i = 0; i < 1000; i++) {
        free(grab((size_t)i % 500));
        raise(SIGUSR1);
    }
    return 0;
}

/*
 * A handler that allocates, at every single instruction of the recorder in one call: the trap flag
 * brings a signal after each, and with each thread the handler waits for one step more. At a step
 * inside the recorder the allocator behind it is not at work, so that it may be called.
 */
#if defined(__x86_64__)
enum { STEPPED_AFTER = 600 };

static uintptr_t recorder_begin, recorder_bytes; /* its code */
static int stepped_before, step_wanted;
static volatile int step; /* of one thread at a time */

static int find_recorder(struct dl_phdr_info *object, size_t size, void *inside)
{
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || (uintptr_t)inside - begin >= part->p_memsz)
            continue;
        recorder_begin = begin;
        recorder_bytes = part->p_memsz;
        return strstr(object->dlpi_name, "libhm_record") != NULL;
    }
    return 0;
}

static void stepped(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    uintptr_t at = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (at - recorder_begin < recorder_bytes && step++ == step_wanted)
        grab(100003);
}

static void *call_in_steps(void *argument)
{
    for (int i = 0; i < stepped_before; i++)
        grab(1);
    step = 0;
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    malloc(100001);
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
    for (int i = 0; i < STEPPED_AFTER; i++)
        grab(2);
    return argument;
}

/* In the last thread the call has no such step any more. */
static int interrupted_after(int calls)
{
    struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};
    if (dl_iterate_phdr(find_recorder, dlsym(RTLD_DEFAULT, "malloc")) != 1 ||
        sigaction(SIGTRAP, &action, NULL) != 0)
        return 1;
    stepped_before = calls;
    for (step_wanted = 0; step_wanted == 0 || step >= step_wanted; step_wanted++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, call_in_steps, NULL) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
#else
static int interrupted_after(int calls)
{
    (void)calls;
    return 98;
}
#endif

/* The first call takes the first segment, of 248 records, the first of which is no call. */
static int interrupted_at_first(void)
{
    return interrupted_after(0);
}

static int interrupted_at_end(void)
{
    return interrupted_after(247);
}

/* Five bursts of calls, with a tenth of a second between them. */
static int pauses(void)
{
    for (int burst = 0; burst < 5; burst++) {
        for (int i = 0; i < 203; i++)
            free(grab((size_t)i));
        usleep(100000);
    }
    return 0;
}

/*
 * A daemon as the book says: two forks, a session of its own; its parents go when it is ready, and
 * it goes on.
 */
static int becomes_daemon(void)
{
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0)
        return 1;
    if (fork() != 0)
        return read(ready[0], &byte, 1) == 1 ? 0 : 1;
    setsid();
    if (fork() != 0)
        _exit(0);
    free(grab(100001));
    ssize_t written = write(ready[1], &byte, 1);
    usleep(200000);
    pairs();
    _exit(written == 1 ? 0 : 1);
}

/*
 * One whose first call comes when all that came before it are gone, and a recorder that looks only
 * at who has called has long ended.
 */
static int becomes_late_daemon(void)
{
    int parents[2];
    char byte;
    if (pipe(parents) != 0)
        return 1;
    if (fork() != 0)
        return 0;
    setsid();
    if (fork() != 0)
        _exit(0);
    close(parents[1]);
    if (read(parents[0], &byte, 1) != 0) /* the end: nobody else has the other side any more */
        _exit(1);
    usleep(300000);
    _exit(pairs());
}

enum { CROWD = 64, CROWD_ROUNDS = 500 };

static pthread_barrier_t crowd_barrier;
static pthread_key_t crowd_key;

static void *one_of_a_crowd(void *argument)
{
    pthread_setspecific(crowd_key, grab(100001));
    for (int i = 0; i < CROWD_ROUNDS; i++)
        free(malloc((size_t)i));
    pthread_barrier_wait(&crowd_barrier);
    return argument;
}

/* Threads that all run at one time and all end at one time, each with a destructor that frees. */
static int crowd(void)
{
    pthread_t threads[CROWD];
    pthread_barrier_init(&crowd_barrier, NULL, CROWD);
    pthread_key_create(&crowd_key, free);
    for (int i = 0; i < CROWD; i++)
        if (pthread_create(&threads[i], NULL, one_of_a_crowd, NULL) != 0)
            return 1;
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

enum { FORKS = 20, FORK_ROUNDS = 100 };

static void *rounds(void *argument)
{
    for (int i = 0; i < ROUNDS; i++)
        free(malloc((size_t)i % 500));
    return argument;
}

/* Forks while other threads are in the middle of their calls; the children call too. */
static int forks_among_threads(void)
{
    pthread_t threads[4];
    int status, bad = 0;
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, rounds, NULL) != 0)
            return 1;
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        for (int k = 0; k < FORK_ROUNDS; k++)
            free(grab((size_t)k));
        if (child == 0)
            _exit(0);
        bad |= waitpid(child, &status, 0) != child || status != 0;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return bad;
}

/* Ends, and leaves a process behind that calls until it is killed. */
static int leaves_one_behind(void)
{
    if (fork() != 0)
        return 0;
    close(STDERR_FILENO); /* somebody may wait for its end */
    endless();
}

static void *calls_without_end(void *unused)
{
    for (;;)
        rounds(unused);
    return NULL;
}

static void *calls_for_a_while(void *unused)
{
    for (int i = 0; i < 20; i++)
        rounds(unused);
    return NULL;
}

/* Ends while other threads change their segments. */
static int exits_among_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, calls_without_end, NULL);
    usleep(50000);
    _exit(0);
}

/* The main thread is gone when the others change theirs. */
static int main_thread_leaves(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, calls_for_a_while, NULL);
    pthread_exit(NULL);
}

/* For a user who may have no more tasks than this one. */
static int cannot_start_threads(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, rounds, NULL) == EAGAIN ? pairs() : 1;
}

/* Enough records to fill a small disk. */
static int millions(void)
{
    for (int i = 0; i < 200; i++)
        pairs();
    return 0;
}

/* ---- small stacks and changing environments -------------------------------------------------- */

/* Its environment's array is moved by realloc() again and again, in which the recorder is at work. */
static int sets_variables(void)
{
    char name[] = "VARIABLE_0_00";
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < round % 7; i++)
            free(grab(10));
        clearenv();
        for (int i = 0; i < 40; i++) {
            name[9] = (char)('0' + round % 10);
            name[11] = (char)('0' + i / 10);
            name[12] = (char)('0' + i % 10);
            setenv(name, "x", 1);
        }
    }
    return 0;
}

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

static void becomes_pairs(int signal)
{
    (void)signal;
    execve(self, pairs_words, large_environment);
    _exit(1);
}

/* Below its alternate stack of 8 KiB lies nothing. */
static int execs_in_a_handler(void)
{
    enum { BELOW = 1 << 16, BYTES = 8192 };
    struct sigaction action = {.sa_handler = becomes_pairs, .sa_flags = SA_ONSTACK};
    char *area =
        mmap(NULL, BELOW + BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stack_t stack = {.ss_sp = area + BELOW, .ss_size = BYTES};
    large_environment = many(900, "A=1");
    if (mprotect(area + BELOW, BYTES, PROT_READ | PROT_WRITE) != 0 ||
        sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        return 1;
    return raise(SIGUSR1);
}

/* Whether the kernel begins a program with so many of the variables, of 100 bytes or so each. */
static int takes(char **variables, size_t count, int by_kernel)
{
    char *const plain[] = {"true", NULL};
    char *after = variables[count];
    variables[count] = NULL;
    pid_t child = fork();
    if (child == 0) {
        if (by_kernel)
            syscall(SYS_execve, "/bin/true", plain, variables);
        else
            execve("/bin/true", plain, variables);
        _exit(1);
    }
    variables[count] = after;
    return !failed(child);
}

/* An environment that the kernel takes, but not with the recorder's variables in it. */
static int execs_at_the_edge(void)
{
    char variable[] = "A=.........................................................................";
    size_t low = 1, high = 200000;
    char **variables = many(high, variable);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (takes(variables, middle, 1))
            low = middle;
        else
            high = middle;
    }
    return !takes(variables, low, 0);
}

/* A pipe that nobody writes to is no program. */
static int execs_pipe(void)
{
    char *const words_of_pipe[] = {"./pipe", NULL};
    execve("./pipe", words_of_pipe, own);
    return errno == EACCES ? pairs() : 1;
}

/* A program that has no name any more. */
static int execs_unnamed(void)
{
    char bytes[4096], *const unnamed_words[] = {"unnamed", NULL};
    int from = open("./static", O_RDONLY), to = memfd_create("unnamed", 0);
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
        if (write(to, bytes, (size_t)got) != got)
            return 1;
    fexecve(to, unnamed_words, own);
    return 2;
}

static int gives_up_rights(void)
{
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    execl("/bin/true", "true", NULL);
    return 2;
}

/* A program that is setuid by its file, and gains nothing by it here. */
static int gains_no_rights(void)
{
    char *const plain[] = {"./rights", NULL};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 1;
    execve("./rights", plain, own);
    return 2;
}

static const struct {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"nothing", nothing},
    {"every_call", every_call},
    {"pairs", pairs},
    {"threads", threads},
    {"short_lived", short_lived},
    {"joined_parents", joined_parents},
    {"late_free", late_free},
    {"forks", forks},
    {"child_fails", child_fails},
    {"vforks", vforks},
    {"execs", execs},
    {"reallocs", reallocs},
    {"has_own_environment", has_own_environment},
    {"execs_anew", execs_anew},
    {"vforks_anew", vforks_anew},
    {"fails_to_exec", fails_to_exec},
    {"spawns_static", spawns_static},
    {"fills_table", fills_table},
    {"sets_variables", sets_variables},
    {"least_stack", least_stack},
    {"forks_on_least_stack", forks_on_least_stack},
    {"execs_in_a_handler", execs_in_a_handler},
    {"execs_pipe", execs_pipe},
    {"execs_at_the_edge", execs_at_the_edge},
    {"execs_unnamed", execs_unnamed},
    {"gives_up_rights", gives_up_rights},
    {"gains_no_rights", gains_no_rights},
    {"exits_among_threads", exits_among_threads},
    {"main_thread_leaves", main_thread_leaves},
    {"killed", killed},
    {"crashes", crashes},
    {"exits_at_once", exits_at_once},
    {"fails", fails},
    {"closes_all", closes_all},
    {"changes_root", changes_root},
    {"signals", signals},
    {"interrupted_at_first", interrupted_at_first},
    {"interrupted_at_end", interrupted_at_end},
    {"endless", endless},
    {"millions", millions},
    {"pauses", pauses},
    {"becomes_daemon", becomes_daemon},
    {"becomes_late_daemon", becomes_late_daemon},
    {"leaves_one_behind", leaves_one_behind},
    {"crowd", crowd},
    {"forks_among_threads", forks_among_threads},
    {"cannot_start_threads", cannot_start_threads},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run();
    return 99;
}
