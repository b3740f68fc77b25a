/*
 * The plan: every trial of a run, in order. Two steps. plan_expand() turns the checked job into
 * cells (workload, parameters, threads, placement, memory policy) and contenders, and is where
 * names are looked up. plan_order() is pure: from cells, contenders and the seed alone it draws
 * randomised complete blocks. A block holds every combination once, in an order of its own, so that
 * a drift of the machine meets all allocators alike (Fisher 1935).
 */
#ifndef HEAPMARK_PLAN_PLAN_H
#define HEAPMARK_PLAN_PLAN_H

#include "job/contender.h"
#include "job/job.h"
#include "topo/topo.h"
#include "trial/spec.h"
#include "workloads/trace/load.h"

struct cell {
    const struct workload *workload;
    uint64_t params[TRIAL_PARAMS_MAX];
    const char *params_text; /* "size=64 order=fifo" */
    uint32_t threads;
    const char *placement, *mempolicy;
    enum trial_mempolicy mempolicy_mode;
    uint64_t mempolicy_nodes;
    const struct trace_input *input; /* NULL: no trace */
    const char *trace, *trace_path;  /* as it was given, and where it lies; NULL as well */
    uint64_t trial_time_ns, timeout_ns, memory_limit_bytes;
    bool is_timeout_given; /* by the user: then it holds as it is */
    uint64_t paced_ns;     /* how long an iteration takes by recorded times; 0: it keeps to none */
    bool has_latency, has_timeline, has_exact_peak;
    uint64_t work;        /* iterations of each thread; 0 until calibrated */
    uint32_t turns;       /* into which the measured part is cut; 0: it is one piece */
    uint32_t *contenders; /* who takes part, as indices of plan->contenders */
    uint32_t contender_count;
    int32_t baseline; /* index of plan->contenders, or -1 */
};

/* One trial to run. Its number is its index in plan->trials. */
struct planned {
    uint32_t block, cell, contender;
    bool is_aa;         /* the baseline's second part */
    uint32_t pad_bytes; /* of the environment */
};

struct plan {
    const char *baseline; /* label */
    uint64_t seed;
    uint32_t blocks;
    bool has_aa;
    bool has_instructions; /* trials count instructions under callgrind and are not timed */
    uint64_t until;        /* thousandths of a percent; 0: blocks are not added until ... */
    struct contender *contenders;
    uint32_t contender_count;
    struct cell *cells;
    uint32_t cell_count;
    struct planned *trials;
    uint32_t *units; /* of each trial: the first of those that it takes turns with, or itself */
    uint32_t trial_count, trials_in_block;
};

/* 0, or -EINVAL after an error was said. The plan lives in the pool; its traces stay open. */
int plan_expand(const struct job *job, const struct topo *topo, struct plan *plan);

/* Fills plan->trials from cells, contenders, blocks and seed. More blocks leave the first as they
 * were: a plan can grow. */
void plan_order(struct plan *plan);

/*
 * Fits a calibrated cell's work and turns to one another: a turn is at least one iteration, and all
 * are alike, so that turns may become fewer and work a little less. Does nothing the second time.
 * False: turns became fewer.
 */
bool cell_settle_turns(struct cell *cell);

/* Iterations of a trial's parts. */
struct trial_parts {
    uint64_t warmup, measured, sampled, timeline;
};

/* Of a cell that is not calibrated yet, those that its pace lets expect. */
struct trial_parts cell_parts(const struct cell *cell, uint32_t block);
uint64_t parts_iterations(const struct trial_parts *parts);

/* So many iterations of a paced cell fill the measured part; 1 of a cell that is not paced. */
uint64_t cell_paced_work(const struct cell *cell);

/* What so many iterations take by recorded times; 0 of a cell that is not paced. */
uint64_t cell_paced_ns(const struct cell *cell, uint64_t iterations);

/* When a trial of so many iterations is ended. */
uint64_t cell_timeout_ns(const struct cell *cell, uint64_t iterations);

/* How long a trial should take on the baseline with all that surrounds its measured part. */
uint64_t plan_trial_estimate_ns(const struct plan *plan, const struct planned *trial);

/* The same for the whole plan: if everybody is as fast as the baseline, and if all others take
 * twice as long. */
uint64_t plan_estimate_ns(const struct plan *plan);
uint64_t plan_estimate_slow_ns(const struct plan *plan);

/* The name and variant under which a trial's row appears. */
const char *planned_variant(const struct plan *plan, const struct planned *trial);

/* Parses default, local, interleave[:N+M], bind:N, preferred:N. 0 or -EINVAL. */
int mempolicy_parse(const char *text, enum trial_mempolicy *mode, uint64_t *nodes);

#endif
