#include "runner/calibrate.h"

#include "runner/callgrind.h"
#include "util/pool.h"
#include "util/say.h"

#include <math.h>

unsigned cell_fill_spec(const struct cell *cell, const struct topo *topo, uint64_t seed,
                        struct trial_spec *spec)
{
    enum { SPINS = 20000 }; /* some 50 us: longer than any thread needs to reach a barrier */
    snprintf(spec->workload, sizeof spec->workload, "%s", cell->workload->name);
    memcpy(spec->params, cell->params, sizeof spec->params);
    spec->seed = seed;
    spec->threads = cell->threads;
    spec->mempolicy = cell->mempolicy_mode;
    spec->nodes = cell->mempolicy_nodes;
    spec->input_bytes = cell->input != NULL ? cell->input->bytes : 0;
    unsigned used = topo_place(topo, cell->placement, cell->threads, spec->cpus);
    unsigned room = used != 0 ? used : topo_cpu_count(topo);
    spec->spins = cell->threads <= room ? SPINS : 0;
    return used;
}

/* The allocator that work is calibrated on. */
static const struct contender *standard(const struct cell *cell, const struct calibration *c)
{
    uint32_t who = cell->baseline >= 0 ? (uint32_t)cell->baseline : cell->contenders[0];
    return &c->plan->contenders[who];
}

/* `amount`: nanoseconds or instructions; 0 if the trial failed, and then `failure` says how. */
static int run_once(const struct cell *cell, const struct calibration *c, uint64_t work,
                    uint64_t *amount, const char **failure)
{
    struct trial_spec *spec = spawner_spec(c->spawner, 0, c->clock);
    struct trial_outcome outcome;
    struct callgrind_profile profile;
    struct trial_request request = {.contender = standard(cell, c),
                                    .input_fd = cell->input ? cell->input->fd : -1,
                                    .timeout_ns = cell_timeout_ns(cell, work),
                                    .memory_limit_bytes = cell->memory_limit_bytes,
                                    .callgrind = c->callgrind};
    cell_fill_spec(cell, c->topo, c->plan->seed, spec);
    spec->work_measured = work;
    if (c->callgrind != NULL)
        spec->spins = 0;
    *amount = 0;
    int result = spawner_run(c->spawner, 0, &request, &outcome);
    if (result != 0)
        return result;
    if (outcome.status != TRIAL_OK) {
        *failure = pool_printf("%s, %s", trial_status_name(outcome.status), outcome.detail);
        return 0;
    }
    if (c->callgrind == NULL) {
        *amount = outcome.shared->result.wall_ns;
        return 0;
    }
    result = callgrind_take(c->callgrind->out, &profile);
    if (result == 0)
        *amount = profile.instructions;
    return result;
}

/* Two significant digits: small differences between calibrations vanish. */
static uint64_t rounded(double work)
{
    if (work < 1)
        return 1;
    double step = pow(10, floor(log10(work)) - 1);
    double result = step > 1 ? round(work / step) * step : round(work);
    return result < 9e18 ? (uint64_t)result : (uint64_t)9e18;
}

/* What is aimed at, in nanoseconds or instructions. */
struct aim {
    double target, enough; /* a trial from which the target can be extrapolated */
    double step_max;       /* short trials are mostly start-up: approach the target in steps */
};

static struct aim find_aim(const struct cell *cell, const struct calibration *c)
{
    const double instructions = 10e6, time_ns = (double)cell->trial_time_ns;
    if (c->callgrind == NULL)
        return (struct aim){.target = time_ns, .enough = time_ns / 4, .step_max = 100};
    /* Nothing is extrapolated far: the first iterations of a body that fills its slots cost most. */
    return (struct aim){.target = instructions, .enough = instructions / 2, .step_max = 100};
}

/* The least that an iteration took, of a trial that is long enough and, where that is time, of
 * another one: a trial that was held up would give too little work, for the whole run. */
static int measure_iteration(const struct cell *cell, const struct calibration *c,
                             const struct aim *aim, double work, double *iteration)
{
    const char *failure;
    uint64_t amount;
    if (c->callgrind != NULL)
        return 0;
    double again = ceil(aim->target / *iteration);
    int result = run_once(cell, c, (uint64_t)(again > work ? again : work), &amount, &failure);
    double second = (double)amount / (again > work ? again : work);
    if (result == 0 && amount > 0 && second < *iteration)
        *iteration = second;
    return result;
}

/* Whether no more iterations fit into a trial than recorded times allow: then nothing is to be
 * found out. `wanted` is how many the target would take. */
static bool is_held_by_pace(const struct cell *cell, double wanted)
{
    double fitting = (double)cell->trial_time_ns / (double)cell->paced_ns;
    return cell->paced_ns > 0 && wanted >= 0.9 * fitting;
}

static int find_work(struct cell *cell, const struct calibration *c, const char **failure);

/* Starting valgrind takes a second: the way to roughly enough work is found without it. */
static int first_guess(const struct cell *cell, const struct calibration *c, double *work,
                       const char **failure)
{
    enum { GUESS_NS = 4000000 }; /* in which some 10 million instructions are executed */
    struct calibration timed = *c;
    struct cell guess = *cell;
    timed.callgrind = NULL;
    guess.trial_time_ns = GUESS_NS;
    int result = find_work(&guess, &timed, failure);
    *work = (double)guess.work;
    return result;
}

/* Where a trial fails, the work is that of the last one that did not, or a single iteration. */
static int find_work(struct cell *cell, const struct calibration *c, const char **failure)
{
    const struct aim aim = find_aim(cell, c);
    double work = 1;
    cell->work = 1;
    if (c->callgrind != NULL) {
        int error = first_guess(cell, c, &work, failure);
        if (error != 0)
            return error;
    }
    for (int tries = 0; tries < 40 && work < 9e18; tries++) {
        uint64_t amount;
        int result = run_once(cell, c, (uint64_t)work, &amount, failure);
        if (result != 0 || amount == 0)
            return result;
        cell->work = (uint64_t)work;
        double iteration = (double)amount / work;
        if (is_held_by_pace(cell, aim.target / iteration)) {
            cell->work = cell_paced_work(cell);
            return 0;
        }
        if ((double)amount >= aim.enough) {
            result = measure_iteration(cell, c, &aim, work, &iteration);
            cell->work = rounded(aim.target / iteration);
            return result;
        }
        double factor = aim.target / (double)amount;
        work = ceil(work * (factor < aim.step_max ? factor : aim.step_max));
    }
    cell->work = rounded(work);
    return 0;
}

int calibrate_cell(struct cell *cell, const struct calibration *c)
{
    const char *failure = NULL;
    int result = find_work(cell, c, &failure);
    if (result == 0 && failure != NULL)
        say_note("%s %s: a trial's work could not be calibrated, since '%s' failed (%s); it goes "
                 "on with --work=%llu (%s)",
                 cell->workload->name, cell->params_text, standard(cell, c)->label, failure,
                 (unsigned long long)cell->work, cell->workload->work_unit);
    return result;
}
