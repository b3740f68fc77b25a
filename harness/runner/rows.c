#include "runner/rows.h"

#include "results/side.h"

#include <errno.h>
#include <stdlib.h>

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

/* What only the workload knows: those that it has said. */
static void set_figures(struct record *record, const struct trial_result *result)
{
    static const enum column figures[FIGURE_COUNT] = {
        [FIGURE_LIVE_DRIFT_PPM] = COLUMN_replay_live_drift_ppm,
        [FIGURE_ORDER_DRIFT_PPM] = COLUMN_replay_order_drift_ppm,
        [FIGURE_WAIT_PPM] = COLUMN_replay_wait_ppm,
        [FIGURE_READ_PPM] = COLUMN_replay_read_ppm,
        [FIGURE_LATE_NS] = COLUMN_replay_late_ns,
    };
    for (int i = 0; i < FIGURE_COUNT; i++) {
        if (result->figures_known >> i & 1)
            set_count(record, figures[i], result->figures[i]);
    }
}

/* Times, faults and resident memory: what is true of the machine and not of valgrind's. */
static void set_timed_figures(struct record *record, const struct trial_result *result)
{
    RECORD_SET(record, wall_ns, result->wall_ns);
    if (result->wall_ns != 0)
        RECORD_SET(record, ops_per_s, (double)result->ops * 1e9 / (double)result->wall_ns);
    RECORD_SET(record, cpu_user_ns, result->cpu_user_ns);
    RECORD_SET(record, cpu_sys_ns, result->cpu_sys_ns);
    SET_IF_KNOWN(record, result, rss_bytes_base);
    SET_IF_KNOWN(record, result, rss_bytes_peak);
    SET_IF_KNOWN(record, result, rss_bytes_end);
    SET_IF_KNOWN(record, result, rss_bytes_purged);
    RECORD_SET(record, faults_minor, result->faults_minor);
    RECORD_SET(record, faults_major, result->faults_major);
    RECORD_SET(record, switches_voluntary, result->switches_voluntary);
    RECORD_SET(record, switches_involuntary, result->switches_involuntary);
    RECORD_SET(record, harness_bytes, result->harness_bytes);
    SET_IF_KNOWN(record, result, instructions);
    set_latencies(record, result);
    set_figures(record, result);
}

static const char *flags_text(const struct session *s, const struct cell *cell, unsigned cpus_used,
                              const struct trial_outcome *outcome)
{
    struct strings flags = {0};
    unsigned room = cpus_used != 0 ? cpus_used : topo_cpu_count(s->topo);
    if (cell->threads > room)
        strings_add(&flags, "oversubscribed");
    if (cpus_used == 0)
        strings_add(&flags, "unpinned");
    if (clock_is_coarse(&s->clock))
        strings_add(&flags, "coarse-timer");
    if (cell->turns > 0)
        strings_add(&flags, "turns");
    if (cell->has_exact_peak && outcome->status == TRIAL_OK)
        strings_add(&flags,
                    outcome->shared->result.rss_bytes_peak != 0 ? "exact-peak" : "no-exact-peak");
    if (s->plan->has_instructions)
        strings_add(&flags, "callgrind");
    if (outcome->shared->result.flags[0] != '\0')
        strings_add(&flags, outcome->shared->result.flags);
    return strings_join(&flags, " ");
}

/* ---- rows of the side files ------------------------------------------------------------------ */

static int add_turns(struct session *s, uint32_t number, const struct trial_outcome *outcome,
                     const struct turn_place *places)
{
    const struct trial_turn *turns = trial_turns(outcome->shared);
    uint32_t count = outcome->shared->spec.turns;
    struct turns_row *rows = calloc(count + 1, sizeof *rows);
    if (rows == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct turns_row){.run = rundir_name(s->dir),
                                     .block = s->plan->trials[number].block,
                                     .trial = number,
                                     .turn = i,
                                     .position = places[i].position,
                                     .start_ns = places[i].start_ns,
                                     .wall_ns = turns[i].wall_ns,
                                     .cpu_ns = turns[i].cpu_ns,
                                     .ops = turns[i].ops};
    int result = rundir_add_side(s->dir, SIDE_TURNS, rows, count);
    free(rows);
    return result;
}

static int add_timeline(struct session *s, uint32_t number, const struct trial_outcome *outcome)
{
    const struct trial_point *points = trial_points(outcome->shared);
    struct timeline_row rows[TRIAL_POINTS_MAX];
    uint32_t count = outcome->shared->result.point_count;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct timeline_row){.run = rundir_name(s->dir),
                                        .block = s->plan->trials[number].block,
                                        .trial = number,
                                        .t_ns = points[i].t_ns,
                                        .calls = points[i].calls,
                                        .live_bytes = points[i].live_bytes,
                                        .rss_bytes = points[i].rss_bytes};
    return rundir_add_side(s->dir, SIDE_TIMELINE, rows, count);
}

static int add_functions(struct session *s, uint32_t number,
                         const struct callgrind_profile *profile)
{
    struct functions_row rows[CALLGRIND_FUNCTIONS];
    for (uint32_t i = 0; i < profile->function_count; i++)
        rows[i] = (struct functions_row){.run = rundir_name(s->dir),
                                         .block = s->plan->trials[number].block,
                                         .trial = number,
                                         .rank = i + 1,
                                         .function = profile->functions[i].name,
                                         .object = profile->functions[i].object,
                                         .instructions = profile->functions[i].instructions};
    return rundir_add_side(s->dir, SIDE_FUNCTIONS, rows, profile->function_count);
}

static int add_latencies(struct session *s, uint32_t number, const struct trial_result *result)
{
    int error = 0;
    for (int op = 0; op < OP_COUNT && error == 0; op++)
        error = rundir_add_latency(s->dir, number, latency_columns[op].name, &result->latency[op]);
    return error;
}

/* ---- a trial's rows -------------------------------------------------------------------------- */

static void set_identity(struct record *record, const struct session *s, uint32_t number)
{
    const struct planned *planned = &s->plan->trials[number];
    const struct cell *cell = &s->plan->cells[planned->cell];
    RECORD_SET(record, run, rundir_name(s->dir));
    RECORD_SET(record, block, planned->block);
    RECORD_SET(record, trial, number);
    RECORD_SET(record, workload, cell->workload->name);
    RECORD_SET(record, params, cell->params_text);
    RECORD_SET(record, allocator, s->plan->contenders[planned->contender].allocator);
    RECORD_SET(record, variant, planned_variant(s->plan, planned));
    RECORD_SET(record, threads, cell->threads);
    RECORD_SET(record, placement, cell->placement);
    RECORD_SET(record, mempolicy, cell->mempolicy);
    RECORD_SET(record, seed, s->plan->seed);
    RECORD_SET(record, work, cell->work);
    RECORD_SET(record, pad_bytes, planned->pad_bytes);
}

static int add_ok(struct session *s, const struct finished *f, struct record *record)
{
    const struct trial_result *result = &f->outcome->shared->result;
    RECORD_SET(record, ops, result->ops);
    RECORD_SET(record, live_bytes_peak, result->live_bytes_peak);
    if (f->profile != NULL) {
        RECORD_SET(record, instructions, f->profile->instructions);
        return add_functions(s, f->number, f->profile);
    }
    set_timed_figures(record, result);
    int error = add_latencies(s, f->number, result);
    if (error == 0 && f->places != NULL && result->ops > 0) /* else there is nothing to compare */
        error = add_turns(s, f->number, f->outcome, f->places);
    if (error == 0 && result->point_count > 0)
        error = add_timeline(s, f->number, f->outcome);
    return error;
}

int rows_add(struct session *s, const struct finished *f)
{
    const struct cell *cell = &s->plan->cells[s->plan->trials[f->number].cell];
    struct record record = {0};
    set_identity(&record, s, f->number);
    RECORD_SET(&record, status, trial_status_name(f->outcome->status));
    RECORD_SET(&record, detail, f->outcome->detail);
    RECORD_SET(&record, flags, flags_text(s, cell, f->cpus_used, f->outcome));
    int error = f->outcome->status == TRIAL_OK ? add_ok(s, f, &record) : 0;
    return error != 0 ? error : rundir_add_record(s->dir, &record);
}
