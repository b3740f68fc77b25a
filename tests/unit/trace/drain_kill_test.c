/*
 * A drain that is killed at any moment: the next one brings every event once.
 *
 * Between two stores to the raw file and two writes to the trace nothing changes that outlives a process.
 * So the drain is killed before each of them. The raw file may not be written while it works, so that each
 * store traps; a child process then is who finds what was left, brings it to its end, and compares. The
 * store is made after that, by itself: the processor stops behind it.
 */
#include "raw_image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    STEP = 160,
    FIRST = 17000, /* pairs of thread 0's calls: a block, while it runs, */
    REST = 16500,  /* and one more when the process is over */
    OTHERS = 3,    /* allocations of thread 1 meanwhile; one more comes at last, and its end */
    NULL_FREES = 5,
    FAILED_CALLS = 7,
    TRAP_FLAG = 1 << 8,
};

static struct raw_image *watched;
static bool is_watched;
static unsigned is_over; /* the process is: 0 or 1 */
static unsigned kills;

/* ---- the recording --------------------------------------------------------------------------- */

static void count_others(struct raw_image *image)
{
    image->segments[0]->null_frees = NULL_FREES;
    image->segments[0]->failed_calls = FAILED_CALLS;
}

/* The n-th pair is on n bytes. */
static void put_pairs(struct raw_image *image, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++) {
        raw_image_go_on(image, 0);
        raw_image_add(image, 0, 2 * n * STEP, RAW_MALLOC, 0x10000, n);
        raw_image_go_on(image, 0);
        raw_image_add(image, 0, (2 * n + 1) * STEP, RAW_FREE, 0x10000, 0);
    }
}

/* Thread 0 joins the one that has this pthread_t. */
static void join(struct raw_image *image, uint64_t self, uint64_t time)
{
    raw_image_put(image, 0, RAW_WIDE_SIZE, 0, time);
    raw_image_add(image, 0, time, RAW_JOIN, self, RAW_WIDE);
}

/* Thread 2 ends long before thread 1. */
static struct raw_image *make_image(void)
{
    struct raw_image *image = raw_image_new();
    image->segment_bytes = RAW_SEGMENT_BYTES_LARGE;
    raw_image_begin(image, 0, 1, 0);
    raw_image_begin_of(image, 1, 11, 0, 0);
    raw_image_begin_of(image, 2, 12, 0, 0);
    count_others(image);
    raw_image_put(image, 1, RAW_CPU, 0, 3);
    raw_image_allocate(image, 1, 1000 * STEP, 1000 * STEP, OTHERS);
    raw_image_add(image, 2, 0, RAW_MALLOC, 0x20000, 1);
    join(image, 12, STEP);
    put_pairs(image, 1, FIRST);
    return image;
}

/*
 * Thread 0 goes on, joins thread 1, and frees what that one has left. It also joins one that has never
 * called, with the pthread_t of thread 2.
 */
static void go_on(struct raw_image *image)
{
    count_others(image);
    put_pairs(image, FIRST, FIRST + REST);
    uint64_t end = 2 * (FIRST + REST) * STEP;
    raw_image_allocate(image, 1, end - 50 * STEP, STEP, 1);
    join(image, 11, end);
    join(image, 12, end);
    for (uint64_t i = 1; i <= OTHERS; i++)
        raw_image_add(image, 0, end + i * STEP, RAW_FREE, ALLOCATED + 16 * i, 0);
}

/* ---- the next drain -------------------------------------------------------------------------- */

/* How many events of each kind there are, and whether each thread's allocations are all there, in turn. */
struct found {
    uint64_t mallocs[3], frees, starts, joins, on_new_cpu;
    bool in_turn;
};

static struct found look(struct trace_reader *reader)
{
    struct trace_event event;
    struct found found = {.in_turn = true};
    while (trace_reader_next(reader, &event) == TRACE_EVENT) {
        uint64_t *mallocs = &found.mallocs[event.thread];
        if (event.op == TRACE_MALLOC)
            found.in_turn &= event.size == ++*mallocs;
        found.frees += event.op == TRACE_FREE;
        found.starts += event.op == TRACE_SPAWN;
        found.joins += event.op == TRACE_JOIN;
        found.on_new_cpu += event.on_new_cpu;
    }
    return found;
}

/* The first thing that is wrong with the trace, of which `told` events are told; or NULL. */
static const char *compare(const char *path, uint64_t told)
{
    static char error[512];
    struct trace_reader *reader;
    if (trace_reader_open(&reader, path, error, sizeof error) != 0)
        return error;
    struct found found = look(reader);
    const struct trace_file_header *header = trace_reader_header(reader);
    const char *wrong = NULL;
    uint64_t parts = is_over ? 2 : 1;
    if (!found.in_turn || found.mallocs[0] != FIRST - 1 + (is_over ? REST : 0) ||
        found.mallocs[1] != OTHERS + is_over || found.mallocs[2] != 1)
        wrong = "allocations are missing, or come twice";
    else if (found.starts != 2 || found.joins != 1 + is_over)
        wrong = "a thread's start or join is missing, or comes twice";
    else if (found.frees != found.mallocs[0] + (is_over ? OTHERS : 0) ||
             header->unknown_frees + header->lost_frees)
        wrong = "frees are missing";
    else if (found.on_new_cpu != 1)
        wrong = "its CPU is told twice";
    else if (header->null_frees != NULL_FREES * parts ||
             header->failed_calls != FAILED_CALLS * parts)
        wrong = "calls that are no events are missing, or are counted twice";
    else if (told != header->events)
        wrong = "another number of events was told";
    trace_reader_close(reader);
    return wrong;
}

static char *copy_of(const char *path)
{
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    char *copy = fixture_path();
    fixture_write(copy, content, bytes);
    free(content);
    return copy;
}

static const char *recover(struct raw_image *image)
{
    char *left = image->path;
    image->path = copy_of(left);
    uint64_t told = raw_image_finish(raw_image_drain(image));
    const char *wrong = compare(image->path, told);
    fixture_remove(image->path);
    image->path = left;
    return wrong;
}

/* ---- killing --------------------------------------------------------------------------------- */

static void protect(bool on)
{
    is_watched = on;
    if (mprotect(watched->bytes, RAW_IMAGE_BYTES, on ? PROT_READ : PROT_READ | PROT_WRITE) != 0)
        abort();
}

/* What was left at this moment becomes the trace that is expected. */
static void kill_here(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        protect(false);
        const char *wrong = recover(watched);
        if (wrong != NULL)
            fprintf(stderr, "kill %u: %s\n", kills, wrong);
        _exit(wrong != NULL);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        abort();
    kills++;
}

static void on_store(int signal, siginfo_t *info, void *context)
{
    uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)watched->bytes;
    (void)signal;
    if (!is_watched || offset >= RAW_IMAGE_BYTES)
        abort();
    kill_here();
    protect(false);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void after_store(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    protect(true);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if (is_watched)
        kill_here();
    return __real_pwrite(fd, bytes, count, offset);
}

/* All is done by one thread, so that what a child finds is the same with each run. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument)
{
    (void)thread, (void)attributes, (void)routine, (void)argument;
    return EAGAIN;
}

static void watch(struct raw_image *image)
{
    struct sigaction store = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction stored = {.sa_sigaction = after_store, .sa_flags = SA_SIGINFO};
    watched = image;
    kills = 0;
    sigaction(SIGSEGV, &store, NULL);
    sigaction(SIGTRAP, &stored, NULL);
    protect(true);
}

static unsigned unwatch(void)
{
    protect(false);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    return kills;
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* TSan does not bear a fork() in a handler; and there is but one thread. */
static void need_forks_in_handlers(void)
{
#if defined(__SANITIZE_THREAD__)
    skip();
#endif
}

/* Segments are marked and given back, and the threads go on. */
static void while_the_program_runs(void **state)
{
    (void)state;
    need_forks_in_handlers();
    struct raw_image *image = make_image();
    struct drain *drain = raw_image_drain(image);
    watch(image);
    int64_t read = drain_round(drain);
    assert_true(unwatch() > 30);
    assert_int_equal(read, OTHERS + 2 * FIRST);
    assert_int_equal(raw_process(raw_image_header(image), 0)->commits, 1);
    drain_release(drain);
    assert_null(recover(image));
    raw_image_release(image);
}

/* More than one block, of which the next one is read before the last one is in the file. */
static void when_the_process_is_over(void **state)
{
    (void)state;
    need_forks_in_handlers();
    uint64_t bytes, events;
    struct raw_image *image = make_image();
    is_over = 1;
    go_on(image);
    struct drain *drain = raw_image_drain(image);
    watch(image);
    int error = drain_finish(drain, 0, 0, &bytes, &events);
    assert_true(unwatch() > 30);
    assert_int_equal(error, 0);
    assert_true(raw_process(raw_image_header(image), 0)->commits > 1);
    drain_release(drain);
    assert_null(recover(image));
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_the_program_runs),
        cmocka_unit_test(when_the_process_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
