/*
 * The parts of a trial: warm-up, measured, sampled, timeline (see workload.h for what they are).
 *
 *   main (worker 0)                      workers 1..n-1
 *   set phase, gate ------------------>  gate
 *   body                                 body
 *   gate <-----------------------------  gate
 *   read counters, next phase            wait at the gate, asleep
 */
#include "trial/trial.h"
#include "util/errno_text.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

/*
 * An instrumented allocator may export heapmark_trial_stage(int): it is called in the main thread
 * right before and right after each part with the stage that begins. The tests' counting allocator
 * uses it to prove that the harness makes no call of its own in between.
 */
static void (*stage_hook)(int);

static void enter_stage(struct trial *trial, enum trial_stage stage)
{
    trial->result->stage = stage;
    if (stage_hook != NULL)
        stage_hook((int)stage);
}

static void run_body(struct worker *w)
{
    struct trial *trial = w->trial;
    w->work = trial->phase_work;
    w->ops = 0;
    w->live_bytes = w->live_bytes_peak = 0;
    barrier_wait(&trial->start_gate);
    w->start_ticks = clock_begin();
    if (trial->phase_timed)
        trial->workload->run_timed(w);
    else
        trial->workload->run(w);
    w->end_ticks = clock_end();
    barrier_wait(&trial->start_gate);
}

static void *worker_main(void *argument)
{
    struct worker *w = argument;
    placement_pin(w->trial, w->index);
    barrier_wait(&w->trial->start_gate); /* the thread is there */
    for (;;) {
        barrier_wait(&w->trial->start_gate); /* main has set the phase */
        if (w->trial->phase_last)
            return NULL;
        run_body(w);
    }
}

static void run_phase(struct trial *trial, enum trial_stage stage, uint64_t work)
{
    trial->phase_work = work;
    trial->phase_timed = stage == STAGE_SAMPLED || stage == STAGE_TIMELINE;
    enter_stage(trial, stage);
    barrier_wait(&trial->start_gate);
    run_body(&trial->workers[0]);
    enter_stage(trial, STAGE_END);
}

static uint64_t timeval_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

/* What the workers did in the phase that has just ended. */
static struct trial_turn sum_workers(const struct trial *trial, uint64_t *live_bytes_peak)
{
    struct trial_turn sum = {0};
    uint64_t start = UINT64_MAX, end = 0;
    *live_bytes_peak = 0;
    for (uint32_t i = 0; i < trial->spec->threads; i++) {
        const struct worker *w = &trial->workers[i];
        sum.ops += w->ops;
        *live_bytes_peak += (uint64_t)w->live_bytes_peak;
        start = w->start_ticks < start ? w->start_ticks : start;
        end = w->end_ticks > end ? w->end_ticks : end;
    }
    sum.wall_ns = clock_ns(end - start);
    return sum;
}

static void add_usage(struct trial_result *result, const struct rusage *before,
                      const struct rusage *after)
{
    result->cpu_user_ns += timeval_ns(after->ru_utime) - timeval_ns(before->ru_utime);
    result->cpu_sys_ns += timeval_ns(after->ru_stime) - timeval_ns(before->ru_stime);
    result->faults_minor += (uint64_t)(after->ru_minflt - before->ru_minflt);
    result->faults_major += (uint64_t)(after->ru_majflt - before->ru_majflt);
    result->switches_voluntary += (uint64_t)(after->ru_nvcsw - before->ru_nvcsw);
    result->switches_involuntary += (uint64_t)(after->ru_nivcsw - before->ru_nivcsw);
}

/* One piece of the measured work: all of it, or a turn. */
static struct trial_turn run_piece(struct trial *trial)
{
    struct trial_result *result = trial->result;
    struct rusage before, after;
    uint64_t live_bytes_peak, instructions = counter_read();
    uint64_t cpu_ns = clock_gettime_ns(CLOCK_PROCESS_CPUTIME_ID);
    getrusage(RUSAGE_SELF, &before);
    callgrind_start(trial);
    run_phase(trial, STAGE_MEASURED, trial->spec->work_measured);
    callgrind_stop(trial);
    cpu_ns =
        clock_gettime_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns; /* workers that wait may spin on */
    getrusage(RUSAGE_SELF, &after);

    struct trial_turn piece = sum_workers(trial, &live_bytes_peak);
    piece.cpu_ns = cpu_ns;
    result->instructions += counter_read() - instructions;
    result->ops += piece.ops;
    result->wall_ns += piece.wall_ns;
    if (result->live_bytes_peak < live_bytes_peak)
        result->live_bytes_peak = live_bytes_peak;
    add_usage(result, &before, &after);
    return piece;
}

static void run_measured(struct trial *trial)
{
    struct trial_result *result = trial->result;
    if (trial->spec->turns == 0)
        run_piece(trial);
    for (uint32_t turn = 0; turn < trial->spec->turns; turn++) {
        turn_await(trial, turn);
        trial_turns(trial->shared)[turn] = run_piece(trial);
    }
    if (trial->workload->measured != NULL)
        trial->workload->measured(trial);
    result->rss_bytes_end = memory_rss_bytes(0);
    if (!trial->spec->has_exact_peak) /* else the parent knows better */
        result->rss_bytes_peak = memory_rss_bytes_peak();
    if (result->rss_bytes_peak < result->rss_bytes_end)
        result->rss_bytes_peak = result->rss_bytes_end;
    if (trial->spec->turns > 0)
        turn_await(trial, trial->spec->turns);
}

static void run_sampled(struct trial *trial)
{
    if (trial->spec->work_sampled == 0)
        return;
    uint64_t seed = trial->spec->seed ^ 0x5a5a5a5a, cost = clock_cost_ticks();
    size_t set_bytes = OP_COUNT * sizeof(struct histogram);
    char *sets = trial_map(trial, trial->spec->threads * set_bytes);
    for (uint32_t i = 0; i < trial->spec->threads; i++)
        trial->workers[i].sampler = (struct sampler){
            .left = 1 + (uint32_t)rng_below(&seed, 127),
            .rng = (uint32_t)rng_next(&seed) | 1,
            .cost_ticks = cost,
            .histograms = (struct histogram *)(sets + i * set_bytes),
        };
    run_phase(trial, STAGE_SAMPLED, trial->spec->work_sampled);
    for (uint32_t i = 0; i < trial->spec->threads; i++)
        for (int op = 0; op < OP_COUNT; op++)
            histogram_add(&trial->result->latency[op], &trial->workers[i].sampler.histograms[op]);
}

static void run_timeline(struct trial *trial, uint64_t harness_bytes)
{
    if (trial->spec->work_timeline == 0)
        return;
    timeline_begin(trial, harness_bytes);
    run_phase(trial, STAGE_TIMELINE, trial->spec->work_timeline);
    timeline_end();
}

static void start_threads(struct trial *trial, pthread_t *threads)
{
    for (uint32_t i = 1; i < trial->spec->threads; i++) {
        int error = pthread_create(&threads[i], NULL, worker_main, &trial->workers[i]);
        if (error != 0)
            trial_fail(trial, TRIAL_UNSUPPORTED, "cannot start thread %u of %u: %s", i,
                       trial->spec->threads, errno_text(error));
    }
    barrier_wait(&trial->start_gate);
}

static void stop_threads(struct trial *trial, pthread_t *threads)
{
    trial->phase_last = true;
    barrier_wait(&trial->start_gate);
    for (uint32_t i = 1; i < trial->spec->threads; i++)
        pthread_join(threads[i], NULL);
}

void loop_run(struct trial *trial)
{
    struct trial_result *result = trial->result;
    static pthread_t threads[TRIAL_THREADS_MAX];
    stage_hook = (void (*)(int))dlsym(RTLD_DEFAULT, "heapmark_trial_stage");
    purge_find();
    counter_open();
    peak_watch(trial);
    start_threads(trial, threads);

    memory_reset_peak();
    uint64_t harness_bytes = result->harness_bytes;
    result->rss_bytes_base = memory_rss_bytes(0);
    if (trial->spec->work_warmup > 0)
        run_phase(trial, STAGE_WARMUP, trial->spec->work_warmup);
    run_measured(trial);
    run_sampled(trial);
    uint64_t sampled_bytes = result->harness_bytes - harness_bytes;
    if (purge_run())
        result->rss_bytes_purged = memory_rss_bytes(0) - sampled_bytes;
    run_timeline(trial, harness_bytes);
    result->harness_bytes = harness_bytes; /* what the resident figures above contain */
    flags_from_allocator(trial);
    stop_threads(trial, threads);
}
