#include "runner/calibrate.h"

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

static int run_once(const struct cell *cell, const struct plan *plan, const struct topo *topo,
                    struct spawner *spawner, struct clock_scale clock, uint64_t work,
                    uint64_t *wall_ns)
{
    struct trial_spec *spec = spawner_spec(spawner, clock);
    struct trial_outcome outcome;
    uint32_t who = cell->baseline >= 0 ? (uint32_t)cell->baseline : cell->contenders[0];
    struct trial_request request = {.contender = &plan->contenders[who],
                                    .input_fd = cell->input ? cell->input->fd : -1,
                                    .timeout_ns = cell->timeout_ns,
                                    .memory_limit_bytes = cell->memory_limit_bytes};
    cell_fill_spec(cell, topo, plan->seed, spec);
    spec->work_measured = work;
    int result = spawner_run(spawner, &request, &outcome);
    *wall_ns = result == 0 && outcome.status == TRIAL_OK ? outcome.result->wall_ns : 0;
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

int calibrate_cell(struct cell *cell, const struct plan *plan, const struct topo *topo,
                   struct spawner *spawner, struct clock_scale clock)
{
    double target = (double)cell->trial_time_ns, enough = target / 4;
    double work = 1;
    for (int tries = 0; tries < 40; tries++) {
        uint64_t wall_ns;
        int result = run_once(cell, plan, topo, spawner, clock, (uint64_t)work, &wall_ns);
        if (result != 0)
            return result;
        if (wall_ns == 0) {
            cell->work = 1;
            return 0;
        }
        double factor = target / (double)wall_ns;
        if ((double)wall_ns >= enough) {
            cell->work = rounded(work * factor);
            return 0;
        }
        /* Short trials are mostly start-up: approach the target in steps. */
        work = ceil(work * (factor < 100 ? factor : 100));
        if (work > 9e18)
            break;
    }
    cell->work = rounded(work);
    return 0;
}
