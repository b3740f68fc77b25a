#include "mock_trial.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

extern const struct workload workload_replay;

struct trial {
    const void *input;
    size_t bytes;
    uint32_t threads;
    uint64_t seed;
    bool timed;
    struct worker *workers;
    pthread_barrier_t gate;
};

uint64_t trial_param(const struct trial *trial, unsigned option)
{
    (void)trial, (void)option;
    return 0;
}

uint32_t trial_thread_count(const struct trial *trial)
{
    return trial->threads;
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
    *bytes = trial->bytes;
    return trial->input;
}

void trial_unsupported(struct trial *trial, const char *format, ...)
{
    (void)trial;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
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

/* Where the real ones read the clock, these dawdle: threads meet in ever other orders. */
static void dawdle(struct worker *w)
{
    w->sampler.left = 1 + w->sampler.rng % 7;
    w->sampler.rng = w->sampler.rng * 1664525u + 1013904223u;
    if (w->trial->seed != 0 && w->sampler.rng % 16 == 0)
        sched_yield();
}

void *sampled_malloc(struct worker *w, size_t size)
{
    dawdle(w);
    return malloc(size);
}
void *sampled_calloc(struct worker *w, size_t count, size_t size)
{
    dawdle(w);
    return calloc(count, size);
}
void *sampled_realloc(struct worker *w, void *block, size_t size)
{
    dawdle(w);
    return realloc(block, size);
}
void sampled_free(struct worker *w, void *block)
{
    dawdle(w);
    free(block);
}

void *sampled_aligned(struct worker *w, size_t alignment, size_t size)
{
    void *block;
    dawdle(w);
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    w->ops = 0;
    w->live_bytes = w->live_bytes_peak = 0;
    w->sampler.left = 1;
    w->sampler.rng = (uint32_t)w->trial->seed + w->index;
    pthread_barrier_wait(&w->trial->gate);
    if (w->trial->timed)
        workload_replay.run_timed(w);
    else
        workload_replay.run(w);
    return NULL;
}

static void run_part(struct trial *trial, struct mock_result *result)
{
    pthread_t *threads = calloc(trial->threads, sizeof *threads);
    struct timespec start, end;
    for (uint32_t i = 1; i < trial->threads; i++)
        pthread_create(&threads[i], NULL, work, &trial->workers[i]);
    clock_gettime(CLOCK_MONOTONIC, &start);
    work(&trial->workers[0]);
    for (uint32_t i = 1; i < trial->threads; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    free(threads);
    *result = (struct mock_result){.wall_ns = (uint64_t)((end.tv_sec - start.tv_sec) * 1000000000 +
                                                         end.tv_nsec - start.tv_nsec)};
    for (uint32_t i = 0; i < trial->threads; i++) {
        result->ops += trial->workers[i].ops;
        result->live_bytes_peak += (uint64_t)trial->workers[i].live_bytes_peak;
    }
}

int mock_replay(const struct trace_input *input, uint64_t passes, bool timed, uint64_t seed,
                struct mock_result *result)
{
    struct trial trial = {.bytes = input->bytes,
                          .threads = input->threads,
                          .seed = seed,
                          .timed = timed};
    void *map = mmap(NULL, input->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, input->fd, 0);
    trial.input = map;
    if (map == MAP_FAILED)
        return -errno;
    trial.workers = aligned_alloc(alignof(struct worker), trial.threads * sizeof *trial.workers);
    memset(trial.workers, 0, trial.threads * sizeof *trial.workers);
    pthread_barrier_init(&trial.gate, NULL, trial.threads);
    for (uint32_t i = 0; i < trial.threads; i++)
        trial.workers[i] = (struct worker){.index = i,
                                           .thread_count = trial.threads,
                                           .work = passes,
                                           .trial = &trial};
    int error = workload_replay.setup(&trial);
    if (error == 0) {
        run_part(&trial, result);
        run_part(&trial, result);
    }
    pthread_barrier_destroy(&trial.gate);
    free(trial.workers);
    munmap(map, input->bytes);
    return error;
}
