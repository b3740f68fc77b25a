#include "mock_trial.h"

#include "workloads/replay/player.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

extern const struct workload workload_replay;

struct trial {
    struct mock_run *run;
    struct mock_result *result;
    const void *input;
    struct worker *workers;
    pthread_barrier_t gate;
    atomic_flag watching;
    bool holds;   /* in this part, still */
    bool stalled; /* in this part, already */
};

/* ---- what setup asks ------------------------------------------------------------------------- */

uint64_t trial_param(const struct trial *trial, unsigned option)
{
    const struct mock_params *params = &trial->run->params;
    const uint64_t values[] = {0, params->mode, params->speed, params->touch, 0};
    return values[option];
}

uint32_t trial_thread_count(const struct trial *trial)
{
    return trial->run->input->players;
}

struct worker *trial_worker(struct trial *trial, uint32_t index)
{
    return &trial->workers[index];
}

void *trial_map(struct trial *trial, size_t bytes)
{
    (void)trial;
    void *memory = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

const void *trial_input(const struct trial *trial, size_t *bytes)
{
    *bytes = trial->run->input->bytes;
    return trial->input;
}

bool trial_shares_cpus(const struct trial *trial)
{
    return trial->run->shares_cpus;
}

void trial_figure(struct trial *trial, enum figure figure, uint64_t value)
{
    trial->result->figures[figure] = value;
    trial->result->figures_known |= 1u << figure;
}

void trial_flag(struct trial *trial, const char *word)
{
    (void)trial, (void)word;
}

void trial_unsupported(struct trial *trial, const char *format, ...)
{
    (void)trial;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

/* ---- what the body asks ---------------------------------------------------------------------- */

void worker_input(struct worker *w, void *buffer, size_t bytes, uint64_t offset)
{
    if (pread(w->trial->run->input->fd, buffer, bytes, (off_t)offset) != (ssize_t)bytes)
        abort();
}

void worker_barrier(struct worker *w)
{
    pthread_barrier_wait(&w->trial->gate);
}

void worker_relax(unsigned *spins)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*spins % 1024 == 0)
        sched_yield();
}

/* By all threads. */
static atomic_uint_fast64_t clock_readings;

uint64_t worker_now_ns(void)
{
    atomic_fetch_add(&clock_readings, 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void worker_out_of_memory(struct worker *w, size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes, worker %u\n", size, w->index);
    abort();
}

void worker_corrupt(struct worker *w, const void *block, size_t size)
{
    fprintf(stderr, "corrupt: %zu bytes at %p, worker %u\n", size, block, w->index);
    abort();
}

/* ---- sampled calls --------------------------------------------------------------------------- */

static void watch(struct worker *w, enum op op, size_t size)
{
    struct trial *trial = w->trial;
    struct mock_run *run = trial->run;
    if (run->calls == NULL)
        return;
    while (atomic_flag_test_and_set(&trial->watching))
        sched_yield();
    if (run->call_count < run->calls_max)
        run->calls[run->call_count] = (struct mock_call){op, w->index, size};
    run->call_count++;
    atomic_flag_clear(&trial->watching);
}

/*
 * A player that waits reads the clock again and again, whether it spins or sleeps; one that does not
 * reads it a few times in a pass. A test that hangs here has found that nobody waits.
 */
static void hold(struct worker *w)
{
    enum { READINGS_MAX = 16 };
    struct trial *trial = w->trial;
    if (w->index != trial->run->held_worker || !trial->holds)
        return;
    uint64_t before = atomic_load(&clock_readings);
    while (atomic_load(&clock_readings) - before <= READINGS_MAX)
        sched_yield();
    trial->holds = false;
}

/* Where the real ones read the clock, these dawdle: threads meet in ever other orders. */
static void dawdle(struct worker *w, enum op op, size_t size)
{
    bool watched = w->trial->run->calls != NULL;
    w->sampler.left = watched ? 1 : 1 + w->sampler.rng % 7;
    w->sampler.rng = w->sampler.rng * 1664525u + 1013904223u;
    if (w->trial->run->seed != 0 && w->sampler.rng % 16 == 0)
        sched_yield();
    hold(w);
    watch(w, op, size);
}

void *sampled_malloc(struct worker *w, size_t size)
{
    dawdle(w, OP_MALLOC, size);
    return malloc(size);
}

void *sampled_calloc(struct worker *w, size_t count, size_t size)
{
    dawdle(w, OP_CALLOC, count * size);
    return calloc(count, size);
}

void *sampled_realloc(struct worker *w, void *block, size_t size)
{
    dawdle(w, OP_REALLOC, size);
    return realloc(block, size);
}

void sampled_free(struct worker *w, void *block)
{
    dawdle(w, OP_FREE, 0);
    if (w->trial->run->freed != NULL)
        memcpy(w->trial->run->freed, block, 16);
    free(block);
}

void *sampled_aligned(struct worker *w, size_t alignment, size_t size)
{
    void *block;
    dawdle(w, OP_MALLOC, size);
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

void sampled_since(struct worker *w, enum op op, uint64_t begin_ns)
{
    struct mock_run *run = w->trial->run;
    uint64_t late_ns = worker_now_ns() - begin_ns;
    dawdle(w, op, 0);
    while (atomic_flag_test_and_set(&w->trial->watching))
        sched_yield();
    run->samples++;
    run->late_samples += late_ns >= run->late_ns;
    run->late_ns_max = late_ns > run->late_ns_max ? late_ns : run->late_ns_max;
    if (op == OP_FREE && !w->trial->stalled) {
        w->trial->stalled = true;
        nanosleep(&(struct timespec){.tv_nsec = (long)run->stall_ns}, NULL);
    }
    atomic_flag_clear(&w->trial->watching);
}

/* ---- the trial ------------------------------------------------------------------------------- */

static void *work(void *argument)
{
    struct worker *w = argument;
    w->ops = 0;
    w->live_bytes = w->live_bytes_peak = 0;
    w->sampler.left = 1;
    w->sampler.rng = (uint32_t)w->trial->run->seed + w->index;
    pthread_barrier_wait(&w->trial->gate);
    if (w->trial->run->timed)
        workload_replay.run_timed(w);
    else
        workload_replay.run(w);
    return NULL;
}

static void run_part(struct trial *trial, struct mock_result *result)
{
    uint32_t count = trial->run->input->players;
    pthread_t *threads = calloc(count, sizeof *threads);
    trial->run->call_count = 0;
    trial->holds = trial->run->holds;
    trial->stalled = false;
    *result = (struct mock_result){0};
    for (uint32_t i = 1; i < count; i++)
        pthread_create(&threads[i], NULL, work, &trial->workers[i]);
    uint64_t start_ns = worker_now_ns();
    work(&trial->workers[0]);
    for (uint32_t i = 1; i < count; i++)
        pthread_join(threads[i], NULL);
    result->wall_ns = worker_now_ns() - start_ns;
    free(threads);
    for (uint32_t i = 0; i < count; i++) {
        result->ops += trial->workers[i].ops;
        result->live_bytes_peak += (uint64_t)trial->workers[i].live_bytes_peak;
        const struct player *p = trial->workers[i].state;
        result->wait_ns += p->wait_ns;
        result->idle_ns += p->idle_ns;
    }
}

static void init_workers(struct trial *trial)
{
    uint32_t count = trial->run->input->players;
    trial->workers = aligned_alloc(alignof(struct worker), count * sizeof *trial->workers);
    for (uint32_t i = 0; i < count; i++)
        trial->workers[i] = (struct worker){.index = i,
                                            .thread_count = count,
                                            .work = trial->run->passes,
                                            .trial = trial};
}

int mock_replay(struct mock_run *run, struct mock_result *result)
{
    struct trial trial = {.run = run, .result = result, .watching = ATOMIC_FLAG_INIT};
    void *map =
        mmap(NULL, run->input->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, run->input->fd, 0);
    trial.input = map;
    if (map == MAP_FAILED)
        return -errno;
    pthread_barrier_init(&trial.gate, NULL, run->input->players);
    init_workers(&trial);
    int error = workload_replay.setup(&trial);
    if (error == 0) {
        run_part(&trial, result);
        run_part(&trial, result);
        workload_replay.measured(&trial);
    }
    pthread_barrier_destroy(&trial.gate);
    free(trial.workers);
    munmap(map, run->input->bytes);
    return error;
}

void mock_fidelity(const struct program_header *program, struct player *players,
                   struct mock_result *result)
{
    struct worker workers[8] = {0};
    struct trial trial = {.result = result, .workers = workers};
    for (uint32_t i = 0; i < program->players; i++)
        workers[i].state = &players[i];
    *result = (struct mock_result){0};
    fidelity_measure(&trial, program, fidelity_setup(&trial, program));
}
