#include "runner/session.h"

#include "runner/anew.h"
#include "runner/calibrate.h"
#include "runner/progress.h"
#include "runner/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- one trial ------------------------------------------------------------------------------- */

static void set_work(struct trial_spec *spec, const struct cell *cell,
                     const struct trial_parts *parts)
{
    spec->turns = cell->turns;
    spec->work_warmup = parts->warmup;
    spec->work_measured = cell->turns > 0 ? parts->measured / cell->turns : parts->measured;
    spec->work_sampled = parts->sampled;
    spec->work_timeline = parts->timeline;
}

/* Fills the spec of a seat and the request of a trial, or of the process that only tells its exact
 * peak. Returns the CPUs that it is pinned to. */
static unsigned prepare_trial(struct session *s, uint32_t number, uint32_t seat, bool for_peak,
                              struct trial_request *request)
{
    const struct planned *planned = &s->plan->trials[number];
    const struct cell *cell = &s->plan->cells[planned->cell];
    struct trial_parts parts = cell_parts(cell, planned->block);
    if (for_peak)
        parts.sampled = parts.timeline = 0;
    *request = (struct trial_request){
        .contender = &s->plan->contenders[planned->contender],
        .pad_bytes = planned->pad_bytes,
        .input_fd = cell->input != NULL ? cell->input->fd : -1,
        .timeout_ns = cell_timeout_ns(cell, parts_iterations(&parts)),
        .memory_limit_bytes = cell->memory_limit_bytes,
        .has_exact_peak = for_peak,
    };
    struct trial_spec *spec = spawner_spec(s->spawner, seat, s->clock);
    unsigned cpus_used = cell_fill_spec(cell, s->topo, s->plan->seed, spec);
    set_work(spec, cell, &parts);
    if (s->plan->has_instructions) {
        request->callgrind = s->callgrind;
        spec->spins = 0; /* instructions of waiting differ from run to run */
    }
    return cpus_used;
}

/*
 * Runs a trial once more, untimed, and puts what was resident then into `outcome`. It needs a seat of
 * its own: the outcome's is still wanted.
 */
static int take_exact_peak(struct session *s, uint32_t number, uint32_t seat,
                           struct trial_outcome *outcome)
{
    struct trial_request request;
    struct trial_outcome again;
    int error = spawner_reserve(s->spawner, seat + 1);
    if (error != 0)
        return error;
    prepare_trial(s, number, seat, true, &request);
    error = spawner_run(s->spawner, seat, &request, &again);
    if (error != 0)
        return error;
    if (again.status == TRIAL_TIMEOUT) { /* watching takes its time: no fault of the trial's */
        uint64_t harness_bytes = outcome->shared->result.harness_bytes;
        again.shared->result = (struct trial_result){.harness_bytes = harness_bytes};
    } else if (again.status != TRIAL_OK) {
        outcome->status = again.status;
        snprintf(outcome->detail, sizeof outcome->detail, "while its peak was read: %.480s",
                 again.detail);
        return 0;
    }
    const struct trial_result *from = &again.shared->result;
    struct trial_result *to = &outcome->shared->result;
    to->rss_bytes_base = from->rss_bytes_base;
    to->rss_bytes_peak = from->rss_bytes_peak;
    to->rss_bytes_end = from->rss_bytes_end;
    to->rss_bytes_purged = from->rss_bytes_purged;
    to->harness_bytes = from->harness_bytes;
    return 0;
}

/* `seat` is free. */
static int finish_trial(struct session *s, const struct finished *finished, uint32_t seat)
{
    const struct planned *planned = &s->plan->trials[finished->number];
    if (finished->outcome->status == TRIAL_OK && s->plan->cells[planned->cell].has_exact_peak) {
        int error = take_exact_peak(s, finished->number, seat, finished->outcome);
        if (error != 0)
            return error;
    }
    s->ran++;
    s->failed += finished->outcome->status != TRIAL_OK;
    return rows_add(s, finished);
}

static int run_trial(struct session *s, uint32_t number)
{
    struct trial_request request;
    struct trial_outcome outcome;
    struct callgrind_profile profile;
    struct finished finished = {.number = number, .outcome = &outcome};
    finished.cpus_used = prepare_trial(s, number, 0, false, &request);
    int error = spawner_run(s->spawner, 0, &request, &outcome);
    if (error == 0 && s->plan->has_instructions && outcome.status == TRIAL_OK) {
        error = callgrind_take(s->callgrind->out, &profile);
        finished.profile = &profile;
    }
    return error != 0 ? error : finish_trial(s, &finished, 1);
}

/* ---- trials that take turns ------------------------------------------------------------------ */

/* A different order of turns for each block and cell. */
static uint64_t unit_seed(const struct session *s, uint32_t first)
{
    const struct planned *planned = &s->plan->trials[first];
    uint64_t state = s->plan->seed ^ ((uint64_t)planned->block << 32) ^ planned->cell;
    return rng_next(&state);
}

/* `group` has arrays of `count` members; those of `places` belong to the seats one after another. */
static int run_group(struct session *s, uint32_t first, const struct turn_group *group,
                     struct trial_request *requests)
{
    unsigned cpus_used = 0;
    int error = spawner_reserve(s->spawner, group->count);
    for (uint32_t seat = 0; error == 0 && seat < group->count; seat++)
        cpus_used = prepare_trial(s, first + seat, seat, false, &requests[seat]);
    if (error == 0)
        error = spawner_run_turns(s->spawner, group);
    for (uint32_t seat = 0; error == 0 && seat < group->count; seat++)
        error = finish_trial(s,
                             &(struct finished){.number = first + seat,
                                                .cpus_used = cpus_used,
                                                .outcome = &group->outcomes[seat],
                                                .places = &group->places[seat * group->turns]},
                             group->count);
    return error;
}

static int run_unit(struct session *s, uint32_t first, uint32_t count)
{
    uint32_t turns = s->plan->cells[s->plan->trials[first].cell].turns;
    if (turns == 0)
        return run_trial(s, first);
    struct trial_request *requests = calloc(count, sizeof *requests);
    struct trial_outcome *outcomes = calloc(count, sizeof *outcomes);
    struct turn_place *places = calloc((size_t)count * turns, sizeof *places);
    int result = -ENOMEM;
    if (requests != NULL && outcomes != NULL && places != NULL) {
        const struct turn_group group = {.requests = requests,
                                         .count = count,
                                         .turns = turns,
                                         .seed = unit_seed(s, first),
                                         .outcomes = outcomes,
                                         .places = places};
        result = run_group(s, first, &group, requests);
    }
    free(requests);
    free(outcomes);
    free(places);
    return result;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static uint32_t unit_length(const struct plan *plan, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < plan->trial_count && plan->units[end] == plan->units[first])
        end++;
    return end - first;
}

static const char *unit_label(const struct session *s, uint32_t first, uint32_t count)
{
    const struct planned *planned = &s->plan->trials[first];
    const struct cell *cell = &s->plan->cells[planned->cell];
    const char *who = count > 1 ? pool_printf("%u in turn", count)
                                : pool_printf("%s%s", s->plan->contenders[planned->contender].label,
                                              planned->is_aa ? " (aa)" : "");
    return pool_printf("block %u/%u: %s %s threads=%u %s", planned->block + 1, s->plan->blocks,
                       cell->workload->name, cell->params_text, cell->threads, who);
}

/* Whether another block fits into the time budget, going by the mean of those that ran. */
static bool has_time_for_block(const struct session *s, uint64_t start_ns)
{
    uint64_t used = clock_gettime_ns(CLOCK_MONOTONIC) - start_ns;
    if (s->time_budget_ns == 0 || s->ran == 0)
        return true;
    return used + used / s->ran * s->plan->trials_in_block <= s->time_budget_ns;
}

/* What is left to do, and how long that should take. */
static uint32_t count_left(const struct session *s, uint64_t *estimate_ns)
{
    uint32_t left = 0;
    *estimate_ns = 0;
    for (uint32_t i = 0; i < s->plan->trial_count; i++) {
        if (s->done[i])
            continue;
        left++;
        *estimate_ns += plan_trial_estimate_ns(s->plan, &s->plan->trials[i]);
    }
    return left;
}

/* Whether the run goes on with this block; at its end says why not. */
static bool begins_block(struct session *s, uint32_t first, uint64_t start_ns)
{
    uint32_t block = first / s->plan->trials_in_block;
    if (!has_time_for_block(s, start_ns)) {
        s->skipped = s->plan->trial_count - first;
        return false;
    }
    if (s->until != NULL && until_is_reached(s->until, block))
        return false;
    if (!s->plan->has_instructions) /* which do not depend on it */
        anew_contenders(s->plan);
    return true;
}

int session_run(struct session *s)
{
    struct progress progress;
    uint64_t estimate_ns, start_ns = clock_gettime_ns(CLOCK_MONOTONIC);
    progress_start(&progress, "trial", count_left(s, &estimate_ns));
    int error = 0;
    uint32_t count, begun = UINT32_MAX;
    for (uint32_t i = 0; i < s->plan->trial_count && error == 0; i += count) {
        count = unit_length(s->plan, i);
        if (s->done[i])
            continue;
        if (s->plan->trials[i].block != begun && !begins_block(s, i, start_ns))
            break;
        begun = s->plan->trials[i].block;
        progress_step(&progress, count, unit_label(s, i, count), estimate_ns);
        error = run_unit(s, i, count);
        for (uint32_t j = i; j < i + count; j++)
            estimate_ns -= plan_trial_estimate_ns(s->plan, &s->plan->trials[j]);
    }
    progress_end(&progress);
    return error;
}
