#include "runner/session.h"

#include "runner/calibrate.h"
#include "runner/progress.h"
#include "util/say.h"

#include <errno.h>

/* ---- from an outcome to a row ---------------------------------------------------------------- */

static const struct {
    const char *name;
    enum column p50; /* p90, p99, p999 and max follow it */
} latency_columns[OP_COUNT] = {
    [OP_MALLOC] = {"malloc", COLUMN_malloc_ns_p50},
    [OP_CALLOC] = {"calloc", COLUMN_calloc_ns_p50},
    [OP_REALLOC] = {"realloc", COLUMN_realloc_ns_p50},
    [OP_FREE] = {"free", COLUMN_free_ns_p50},
};

static void set_count(struct record *record, enum column column, uint64_t value)
{
    memcpy((char *)record + columns[column].offset, &value, sizeof value);
    record_mark(record, column);
}

static void set_latencies(struct record *record, const struct trial_result *result)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    for (int op = 0; op < OP_COUNT; op++) {
        const struct histogram *h = &result->latency[op];
        enum column column = latency_columns[op].p50;
        if (h->count == 0)
            continue;
        for (int q = 0; q < 4; q++)
            set_count(record, (enum column)(column + q),
                      clock_ns(histogram_quantile(h, quantiles[q])));
        set_count(record, (enum column)(column + 4), clock_ns(h->max));
    }
}

/* 0 stands for "not available" in the result, and must stay empty in the row. */
#define SET_IF_KNOWN(record, result, field)             \
    do {                                                \
        if ((result)->field != 0)                       \
            RECORD_SET(record, field, (result)->field); \
    } while (0)

static void set_figures(struct record *record, const struct trial_result *result)
{
    RECORD_SET(record, ops, result->ops);
    RECORD_SET(record, wall_ns, result->wall_ns);
    if (result->wall_ns != 0)
        RECORD_SET(record, ops_per_s, (double)result->ops * 1e9 / (double)result->wall_ns);
    RECORD_SET(record, cpu_user_ns, result->cpu_user_ns);
    RECORD_SET(record, cpu_sys_ns, result->cpu_sys_ns);
    RECORD_SET(record, live_bytes_peak, result->live_bytes_peak);
    SET_IF_KNOWN(record, result, rss_bytes_base);
    SET_IF_KNOWN(record, result, rss_bytes_peak);
    SET_IF_KNOWN(record, result, rss_bytes_end);
    SET_IF_KNOWN(record, result, rss_bytes_purged);
    RECORD_SET(record, faults_minor, result->faults_minor);
    RECORD_SET(record, faults_major, result->faults_major);
    RECORD_SET(record, switches_voluntary, result->switches_voluntary);
    RECORD_SET(record, switches_involuntary, result->switches_involuntary);
    RECORD_SET(record, harness_bytes, result->harness_bytes);
    set_latencies(record, result);
}

static const char *flags_text(const struct session *s, const struct cell *cell, unsigned cpus_used)
{
    struct strings flags = {0};
    unsigned room = cpus_used != 0 ? cpus_used : topo_cpu_count(s->topo);
    if (cell->threads > room)
        strings_add(&flags, "oversubscribed");
    if (cpus_used == 0)
        strings_add(&flags, "unpinned");
    if (!s->clock.is_tsc)
        strings_add(&flags, "coarse-timer");
    return strings_join(&flags, " ");
}

static int write_trial(struct session *s, uint32_t number, const struct trial_outcome *outcome,
                       unsigned cpus_used)
{
    const struct planned *planned = &s->plan->trials[number];
    const struct cell *cell = &s->plan->cells[planned->cell];
    struct record record = {0};
    RECORD_SET(&record, run, rundir_name(s->dir));
    RECORD_SET(&record, block, planned->block);
    RECORD_SET(&record, trial, number);
    RECORD_SET(&record, workload, cell->workload->name);
    RECORD_SET(&record, params, cell->params_text);
    RECORD_SET(&record, allocator, s->plan->contenders[planned->contender].allocator);
    RECORD_SET(&record, variant, planned_variant(s->plan, planned));
    RECORD_SET(&record, threads, cell->threads);
    RECORD_SET(&record, placement, cell->placement);
    RECORD_SET(&record, mempolicy, cell->mempolicy);
    RECORD_SET(&record, seed, s->plan->seed);
    RECORD_SET(&record, status, trial_status_name(outcome->status));
    RECORD_SET(&record, detail, outcome->detail);
    RECORD_SET(&record, work, cell->work);
    RECORD_SET(&record, flags, flags_text(s, cell, cpus_used));
    RECORD_SET(&record, pad_bytes, planned->pad_bytes);
    if (outcome->status == TRIAL_OK) {
        set_figures(&record, outcome->result);
        for (int op = 0; op < OP_COUNT; op++) {
            int error = rundir_add_latency(s->dir, number, latency_columns[op].name,
                                           &outcome->result->latency[op]);
            if (error != 0)
                return error;
        }
    }
    return rundir_add_record(s->dir, &record);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* A tenth of the work warms up, a quarter is sampled; a part of less than one iteration is left
 * out of warm-up and made one for sampling. */
static void set_work(struct trial_spec *spec, const struct cell *cell)
{
    spec->work_warmup = cell->work / 10;
    spec->work_measured = cell->work;
    if (cell->has_latency)
        spec->work_sampled = cell->work / 4 > 0 ? cell->work / 4 : 1;
}

static int run_trial(struct session *s, uint32_t number)
{
    const struct planned *planned = &s->plan->trials[number];
    const struct cell *cell = &s->plan->cells[planned->cell];
    struct trial_request request = {
        .contender = &s->plan->contenders[planned->contender],
        .pad_bytes = planned->pad_bytes,
        .input_fd = cell->input != NULL ? cell->input->fd : -1,
        .timeout_ns = cell->timeout_ns,
        .memory_limit_bytes = cell->memory_limit_bytes,
    };
    struct trial_spec *spec = spawner_spec(s->spawner, s->clock);
    struct trial_outcome outcome;
    unsigned cpus_used = cell_fill_spec(cell, s->topo, s->plan->seed, spec);
    set_work(spec, cell);
    int error = spawner_run(s->spawner, &request, &outcome);
    if (error != 0)
        return error;
    s->ran++;
    s->failed += outcome.status != TRIAL_OK;
    return write_trial(s, number, &outcome, cpus_used);
}

static const char *trial_label(const struct session *s, uint32_t number)
{
    const struct planned *planned = &s->plan->trials[number];
    const struct cell *cell = &s->plan->cells[planned->cell];
    return pool_printf("block %u/%u: %s %s threads=%u %s%s", planned->block + 1, s->plan->blocks,
                       cell->workload->name, cell->params_text, cell->threads,
                       s->plan->contenders[planned->contender].label,
                       planned->is_aa ? " (aa)" : "");
}

/* Whether another block fits into the time budget, going by the mean of those that ran. */
static bool has_time_for_block(const struct session *s, uint64_t start_ns)
{
    uint64_t used = clock_gettime_ns(CLOCK_MONOTONIC) - start_ns;
    if (s->time_budget_ns == 0 || s->ran == 0)
        return true;
    return used + used / s->ran * s->plan->trials_in_block <= s->time_budget_ns;
}

int session_run(struct session *s)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->plan->trial_count; i++)
        left += !s->done[i];
    struct progress progress;
    progress_start(&progress, "trial", left);
    uint64_t start_ns = clock_gettime_ns(CLOCK_MONOTONIC);
    uint64_t estimate_ns = 0;
    for (uint32_t i = 0; i < s->plan->trial_count; i++)
        estimate_ns +=
            s->done[i] ? 0 : plan_trial_estimate_ns(&s->plan->cells[s->plan->trials[i].cell]);
    int error = 0;
    for (uint32_t i = 0; i < s->plan->trial_count && error == 0; i++) {
        if (i % s->plan->trials_in_block == 0 && !has_time_for_block(s, start_ns)) {
            s->skipped = s->plan->trial_count - i;
            break;
        }
        if (s->done[i])
            continue;
        progress_step(&progress, trial_label(s, i), estimate_ns);
        error = run_trial(s, i);
        estimate_ns -= plan_trial_estimate_ns(&s->plan->cells[s->plan->trials[i].cell]);
    }
    progress_end(&progress);
    return error;
}
