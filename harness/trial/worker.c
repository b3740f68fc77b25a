/* What a workload's body and setup may call: see workload.h. */
#include "trial/trial.h"
#include "util/errno_text.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t trial_param(const struct trial *trial, unsigned option)
{
    return trial->spec->params[option];
}

uint64_t trial_seed(const struct trial *trial)
{
    return trial->spec->seed;
}

uint32_t trial_thread_count(const struct trial *trial)
{
    return trial->spec->threads;
}

struct worker *trial_worker(struct trial *trial, uint32_t index)
{
    return &trial->workers[index];
}

const void *trial_input(const struct trial *trial, size_t *bytes)
{
    *bytes = trial->spec->input_bytes;
    return trial->input;
}

void *trial_map(struct trial *trial, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bytes = (bytes + page - 1) / page * page;
    void *memory = mmap(NULL, bytes ? bytes : page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        trial_fail(trial, TRIAL_OOM, "the harness could not map %zu bytes of its own", bytes);
    trial->result->harness_bytes += bytes;
    return memory;
}

static void set_detail(struct trial *trial, const char *format, va_list arguments)
{
    vsnprintf(trial->result->detail, sizeof trial->result->detail, format, arguments);
}

void worker_input(struct worker *worker, void *buffer, size_t bytes, uint64_t offset)
{
    char *at = buffer;
    while (bytes > 0) {
        ssize_t got = pread(TRIAL_INPUT_FD, at, bytes, (off_t)offset);
        if (got <= 0)
            trial_fail(worker->trial, TRIAL_UNSUPPORTED,
                       "the harness could not read the decoded trace at byte %llu: %s",
                       (unsigned long long)offset, got < 0 ? errno_text(errno) : "it ends");
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
}

bool trial_shares_cpus(const struct trial *trial)
{
    return trial->spec->spins == 0;
}

void trial_figure(struct trial *trial, enum figure figure, uint64_t value)
{
    trial->result->figures[figure] = value;
    trial->result->figures_known |= 1u << figure;
}

void trial_unsupported(struct trial *trial, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_detail(trial, format, arguments);
    va_end(arguments);
}

void trial_fail(struct trial *trial, enum trial_status status, const char *format, ...)
{
    /* Several threads may find the same corruption; only one may write the detail. */
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&taken))
        for (;;)
            pause();
    va_list arguments;
    va_start(arguments, format);
    set_detail(trial, format, arguments);
    va_end(arguments);
    atomic_thread_fence(memory_order_release);
    trial->result->status = status;
    _exit(1);
}

void worker_out_of_memory(struct worker *worker, size_t size)
{
    trial_fail(worker->trial, TRIAL_OOM, "the allocator returned NULL for %zu bytes (thread %u)",
               size, worker->index);
}

void worker_corrupt(struct worker *worker, const void *block, size_t size)
{
    trial_fail(worker->trial, TRIAL_CORRUPT,
               "the contents of a live block of %zu bytes at %p changed (thread %u): blocks "
               "overlap "
               "or the allocator wrote into one",
               size, block, worker->index);
}

void worker_wrong(struct worker *worker, const char *format, ...)
{
    char what[192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    trial_fail(worker->trial, TRIAL_CORRUPT, "%s (thread %u)", what, worker->index);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

void worker_relax(unsigned *spins)
{
    cpu_relax();
    if (++*spins % 1024 == 0)
        sched_yield();
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void barrier_wait(struct barrier *barrier)
{
    uint32_t round = atomic_load_explicit(&barrier->round, memory_order_acquire);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->thread_count) {
        atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
        atomic_fetch_add(&barrier->round, 1);
        if (barrier->thread_count > 1)
            futex(&barrier->round, FUTEX_WAKE, INT32_MAX);
        return;
    }
    for (uint32_t i = 0; i < barrier->spins; i++) {
        if (atomic_load_explicit(&barrier->round, memory_order_acquire) != round)
            return;
        cpu_relax();
    }
    while (atomic_load_explicit(&barrier->round, memory_order_acquire) == round)
        futex(&barrier->round, FUTEX_WAIT, round);
}

void worker_barrier(struct worker *worker)
{
    barrier_wait(&worker->trial->body_gate);
}

/* ---- the timed instance's slow halves -------------------------------------------------------- */

/* Gaps of 1 to 127, 64 on average, so that no period of the workload is met in step. */
static void sampler_rearm(struct sampler *s)
{
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 17;
    s->rng ^= s->rng << 5;
    s->left = s->is_timeline ? 1 : 1 + s->rng % 127;
}

static void sampler_record(struct worker *w, enum op op, uint64_t ticks)
{
    struct sampler *s = &w->sampler;
    if (!s->is_timeline)
        histogram_record(&s->histograms[op], ticks > s->cost_ticks ? ticks - s->cost_ticks : 0);
    sampler_rearm(s);
}

/* A new block; `ticks` is what it took. */
static void *record_block(struct worker *w, enum op op, void *block, size_t size, uint64_t ticks)
{
    if (w->sampler.is_timeline)
        timeline_allocated(block, size);
    sampler_record(w, op, ticks);
    return block;
}

void *sampled_malloc(struct worker *w, size_t size)
{
    uint64_t begin = clock_begin();
    void *block = malloc(size);
    return record_block(w, OP_MALLOC, block, size, clock_end() - begin);
}

void *sampled_calloc(struct worker *w, size_t count, size_t size)
{
    uint64_t begin = clock_begin();
    void *block = calloc(count, size);
    return record_block(w, OP_CALLOC, block, count * size, clock_end() - begin);
}

void *sampled_realloc(struct worker *w, void *block, size_t size)
{
    if (w->sampler.is_timeline) /* before: another thread may get the address at once */
        timeline_freed(block);
    uint64_t begin = clock_begin();
    void *moved = realloc(block, size);
    return record_block(w, OP_REALLOC, moved, size, clock_end() - begin);
}

void *sampled_aligned(struct worker *w, size_t alignment, size_t size)
{
    void *block = NULL;
    uint64_t begin = clock_begin();
    if (posix_memalign(&block, alignment, size) != 0)
        block = NULL;
    return record_block(w, OP_MALLOC, block, size, clock_end() - begin);
}

void sampled_free(struct worker *w, void *block)
{
    if (w->sampler.is_timeline)
        timeline_freed(block);
    uint64_t begin = clock_begin();
    free(block);
    sampler_record(w, OP_FREE, clock_end() - begin);
}

/* 0 means "not sampled", which no clock reads after its start. */
uint64_t sampled_begin(void)
{
    return clock_begin();
}

void sampled_end(struct worker *w, enum op op, uint64_t begin)
{
    uint64_t ticks = clock_end() - begin;
    if (w->sampler.is_timeline)
        timeline_other_call();
    sampler_record(w, op, ticks);
}

uint64_t worker_now_ns(void)
{
    return clock_ns(clock_begin());
}

void sampled_since(struct worker *w, enum op op, uint64_t begin_ns)
{
    uint64_t now_ns = clock_ns(clock_end()), took_ns = now_ns > begin_ns ? now_ns - begin_ns : 0;
    sampler_record(w, op, (uint64_t)((double)took_ns / clock_scale.ns_per_tick));
}
