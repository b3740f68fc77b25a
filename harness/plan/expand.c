/* The looking-up half of planning: from a checked job to cells and contenders. */
#include "plan/plan.h"

#include "allocators/registry.h"
#include "job/params.h"
#include "util/nearest.h"
#include "util/parse.h"
#include "util/paths.h"
#include "util/say.h"
#include "workloads/registry.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* What is being expanded, to keep argument lists short. */
struct expansion {
    const struct job *job;
    const struct topo *topo;
    struct plan *plan;
    const struct section *section;
    const char *trace; /* that the cell replays */
    size_t possible; /* combinations of the workload's parameters that do not exclude one another */
    const char *refusal; /* why another is impossible */
    struct cell cell;    /* filled in step by step, copied into the plan at the innermost */
};

static const char *where(const struct expansion *e, enum run_option_id id)
{
    const char *at = e->section->option_where[id];
    if (at == NULL)
        at = e->job->global.option_where[id];
    return at != NULL && *at ? pool_printf("%s: ", at) : "";
}

static const char *text(const struct expansion *e, enum run_option_id id)
{
    return job_text(e->job, e->section, id);
}

static bool is_given(const struct expansion *e, enum run_option_id id)
{
    return e->section->text[id] != NULL || e->job->global.text[id] != NULL;
}

/* ---- contenders ------------------------------------------------------------------------------ */

/* The index of a contender in the plan, added if it is new; or -1 after an error. */
static int32_t contender_index(struct expansion *e, const char *argument, const char *at)
{
    struct plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->contender_count; i++)
        if (strcmp(plan->contenders[i].label, argument) == 0)
            return (int32_t)i;
    struct contender *grown = pool_alloc((plan->contender_count + 1) * sizeof *grown);
    if (plan->contender_count > 0)
        memcpy(grown, plan->contenders, plan->contender_count * sizeof *grown);
    plan->contenders = grown;
    if (contender_find(argument, at, &grown[plan->contender_count]) != 0)
        return -1;
    return (int32_t)plan->contender_count++;
}

/* `all`: every installed allocator but null, which measures the harness. */
static struct strings allocator_arguments(const char *list)
{
    struct strings arguments = {0}, items = strings_split(list, ',');
    for (size_t i = 0; i < items.count; i++) {
        if (strcmp(items.items[i], "all") != 0) {
            strings_add(&arguments, items.items[i]);
            continue;
        }
        for (size_t a = 0; allocators[a] != NULL; a++)
            if (strcmp(allocators[a]->name, "null") != 0 &&
                contender_installed_path(allocators[a]) != NULL)
                strings_add(&arguments, allocators[a]->name);
    }
    return arguments;
}

static bool takes_part(const struct cell *cell, int32_t contender)
{
    for (uint32_t i = 0; i < cell->contender_count; i++)
        if (cell->contenders[i] == (uint32_t)contender)
            return true;
    return false;
}

static int expand_contenders(struct expansion *e)
{
    const char *baseline = text(e, OPT_baseline);
    struct strings arguments = allocator_arguments(text(e, OPT_allocators));
    struct cell *cell = &e->cell;
    cell->contenders = pool_alloc((arguments.count + 1) * sizeof *cell->contenders);
    cell->contender_count = 0;
    cell->baseline = -1;
    if (strcmp(baseline, "none") != 0) {
        cell->baseline = contender_index(e, baseline, where(e, OPT_baseline));
        if (cell->baseline < 0)
            return -EINVAL;
        if (e->plan->baseline != NULL && strcmp(e->plan->baseline, baseline) != 0) {
            say_error("%sbaseline '%s' differs from '%s' of another job: a run has one, or 'none'",
                      where(e, OPT_baseline), baseline, e->plan->baseline);
            return -EINVAL;
        }
        e->plan->baseline = baseline;
        cell->contenders[cell->contender_count++] = (uint32_t)cell->baseline;
    }
    for (size_t i = 0; i < arguments.count; i++) {
        int32_t index = contender_index(e, arguments.items[i], where(e, OPT_allocators));
        if (index < 0)
            return -EINVAL;
        if (!takes_part(cell, index))
            cell->contenders[cell->contender_count++] = (uint32_t)index;
    }
    return 0;
}

/* ---- cells ----------------------------------------------------------------------------------- */

int mempolicy_parse(const char *policy, enum trial_mempolicy *mode, uint64_t *nodes)
{
    static const struct {
        const char *name;
        enum trial_mempolicy mode;
        bool takes_nodes;
    } known[] = {{"default", MEMPOLICY_DEFAULT, false},
                 {"local", MEMPOLICY_LOCAL, false},
                 {"interleave", MEMPOLICY_INTERLEAVE, true},
                 {"bind", MEMPOLICY_BIND, true},
                 {"preferred", MEMPOLICY_PREFERRED, true}};
    size_t length = strcspn(policy, ":");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) != length || strncmp(known[i].name, policy, length) != 0)
            continue;
        *mode = known[i].mode;
        *nodes = 0;
        if (policy[length] == '\0') /* without nodes, interleave means all */
            return !known[i].takes_nodes || known[i].mode == MEMPOLICY_INTERLEAVE ? 0 : -EINVAL;
        if (!known[i].takes_nodes)
            return -EINVAL;
        for (const char *at = policy + length; *at != '\0';) {
            char *end;
            if (at[1] < '0' || at[1] > '9')
                return -EINVAL;
            unsigned long node = strtoul(at + 1, &end, 10);
            if (node >= TRIAL_NODES_MAX || (*end != '\0' && *end != '+'))
                return -EINVAL;
            *nodes |= 1ull << node;
            at = end;
        }
        return *mode == MEMPOLICY_PREFERRED && (*nodes & (*nodes - 1)) != 0 ? -EINVAL : 0;
    }
    return -EINVAL;
}

static int set_mempolicy(struct expansion *e, const char *policy)
{
    static const char *const names[] = {"default", "local", "interleave", "bind:0", "preferred:0"};
    struct cell *cell = &e->cell;
    cell->mempolicy = policy;
    if (mempolicy_parse(policy, &cell->mempolicy_mode, &cell->mempolicy_nodes) != 0) {
        say_error("%sunknown memory policy '%s'%s expected default, local, interleave, bind:N or "
                  "preferred:N",
                  where(e, OPT_mempolicy), policy, say_hint(nearest(policy, names, 5)));
        return -EINVAL;
    }
    for (unsigned node = 0; node < TRIAL_NODES_MAX; node++) {
        bool is_all = cell->mempolicy_mode == MEMPOLICY_INTERLEAVE && strchr(policy, ':') == NULL &&
                      topo_has_node(e->topo, node);
        if (is_all)
            cell->mempolicy_nodes |= 1ull << node;
        if ((cell->mempolicy_nodes >> node & 1) && !topo_has_node(e->topo, node)) {
            say_error("%smemory policy '%s': this machine has no node %u; 'heapmark topo' shows "
                      "the "
                      "nodes",
                      where(e, OPT_mempolicy), policy, node);
            return -EINVAL;
        }
    }
    return 0;
}

static bool is_repeated(const struct cell *a, const struct cell *b)
{
    if (a->workload != b->workload || strcmp(a->params_text, b->params_text) != 0 ||
        a->threads != b->threads || strcmp(a->placement, b->placement) != 0 ||
        strcmp(a->mempolicy, b->mempolicy) != 0)
        return false;
    for (uint32_t i = 0; i < a->contender_count; i++)
        if (takes_part(b, (int32_t)a->contenders[i]))
            return true;
    return false;
}

/* Rows of the same combination could not be told apart. */
static int add_cell(struct expansion *e)
{
    struct plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if (is_repeated(&plan->cells[i], &e->cell)) {
            say_error("'%s %s threads=%u' is in this run twice; name it once",
                      e->cell.workload->name, e->cell.params_text, e->cell.threads);
            return -EINVAL;
        }
    struct cell *grown = pool_alloc((plan->cell_count + 1) * sizeof *grown);
    if (plan->cell_count > 0)
        memcpy(grown, plan->cells, plan->cell_count * sizeof *grown);
    plan->cells = grown;
    struct cell *cell = &grown[plan->cell_count++];
    *cell = e->cell;
    if (cell->work == 0 && cell->paced_ns > 0 && cell_paced_work(cell) == 1)
        cell->work = 1; /* known without calibration, which would make long passes of its own */
    return 0;
}

static struct strings placement_list(const struct expansion *e)
{
    const char *list = text(e, OPT_placement);
    struct strings one = {0};
    if (*list < '0' || *list > '9')
        return strings_split(list, ',');
    strings_add(&one, list); /* a list of CPUs, not a sweep */
    return one;
}

/* Innermost: threads x placement x memory policy for fixed parameters. */
static int expand_places(struct expansion *e)
{
    struct strings counts = strings_split(text(e, OPT_threads), ',');
    struct strings places = placement_list(e),
                   policies = strings_split(text(e, OPT_mempolicy), ',');
    if (e->cell.input != NULL)
        counts.count = 1; /* a trace brings its own */
    for (size_t t = 0; t < counts.count; t++)
        for (size_t p = 0; p < places.count; p++)
            for (size_t m = 0; m < policies.count; m++) {
                char reason[256];
                uint64_t count = run_option_number(&run_options[OPT_threads], counts.items[t]);
                e->cell.threads = e->cell.input ? e->cell.input->players : (uint32_t)count;
                e->cell.placement = places.items[p];
                if (topo_check_placement(e->topo, e->cell.placement, reason, sizeof reason) != 0) {
                    say_error("%s%s", where(e, OPT_placement), reason);
                    return -EINVAL;
                }
                if (set_mempolicy(e, policies.items[m]) != 0 || add_cell(e) != 0)
                    return -EINVAL;
            }
    return 0;
}

static bool is_decoded_as(const char *path, const struct trace_load_options *options,
                          const char *other_path, const struct trace_load_options *other)
{
    return strcmp(path, other_path) == 0 && options->is_serial == other->is_serial &&
           options->is_paced == other->is_paced && options->memory_bytes == other->memory_bytes;
}

/* Opens a trace once for all the cells that replay it in one way. */
static int open_trace(struct expansion *e, const char *name)
{
    static struct opened {
        struct opened *next;
        const char *path;
        struct trace_load_options options;
        struct trace_input input;
    } * all;
    char path[PATH_MAX], error[512];
    struct trace_load_options options = {.memory_bytes = SIZE_MAX};
    if (e->cell.workload->decoding != NULL)
        e->cell.workload->decoding(e->cell.params, &options);
    if (paths_find("traces", name, ".hmt", path, sizeof path) != 0) {
        say_error("no trace '%s'; 'heapmark list traces' shows the shipped ones, any other is "
                  "given "
                  "by its path",
                  name);
        return -EINVAL;
    }
    struct opened *trace = all;
    while (trace != NULL && !is_decoded_as(trace->path, &trace->options, path, &options))
        trace = trace->next;
    if (trace == NULL) {
        trace = pool_alloc(sizeof *trace);
        if (trace_load(path, &options, &trace->input, error, sizeof error) != 0) {
            say_error("%s", error);
            return -EINVAL;
        }
        *trace = (struct opened){.next = all,
                                 .path = pool_strdup(path),
                                 .options = options,
                                 .input = trace->input};
        all = trace;
    }
    if (trace->input.players > TRIAL_THREADS_MAX) {
        say_error("trace '%s' has %u threads at one time; heapmark replays up to %d, or any number "
                  "with mode=serial",
                  name, trace->input.players, TRIAL_THREADS_MAX);
        return -EINVAL;
    }
    e->cell.input = &trace->input;
    e->cell.trace = name;
    e->cell.trace_path = trace->path;
    return 0;
}

/* A paced trial takes its time whatever the allocator does: a shorter limit would end them all. */
static int check_pace(const struct expansion *e)
{
    const struct cell *cell = &e->cell;
    struct trial_parts parts = cell_parts(cell, 0);
    uint64_t passes = parts_iterations(&parts), paced_ns = cell_paced_ns(cell, passes);
    char timeout[32], paced[32];
    if (!cell->is_timeout_given || paced_ns < cell->timeout_ns)
        return 0;
    say_error("%s'timeout' of %s is too short for a paced replay of '%s': by the recorded times a "
              "trial takes %s (%llu pass%s); leave 'timeout' out, and it gets the time it needs",
              where(e, OPT_timeout), format_duration(cell->timeout_ns, timeout), cell->trace,
              format_duration(paced_ns, paced), (unsigned long long)passes,
              passes == 1 ? "" : "es");
    return -EINVAL;
}

/* The cell's parameters are complete. */
static int expand_trace(struct expansion *e)
{
    struct cell *cell = &e->cell;
    if (workload_trace_option(cell->workload) == NULL)
        return 0;
    if (open_trace(e, e->trace) != 0)
        return -EINVAL;
    if (cell->workload->paced_ns != NULL)
        cell->paced_ns = cell->workload->paced_ns(cell->params, cell->input->recorded_ns);
    return check_pace(e);
}

static void judge_params(struct expansion *e)
{
    const struct workload *workload = e->cell.workload;
    const char *why = workload->refusal != NULL ? workload->refusal(e->cell.params) : NULL;
    e->possible += why == NULL;
    if (why != NULL)
        e->refusal = why;
}

/* Outer: every combination of parameter values, option by option. */
static int expand_params(struct expansion *e, size_t option_index, const char *so_far)
{
    const struct workload *workload = e->cell.workload;
    if (option_index == workload_option_count(workload)) {
        e->cell.params_text = so_far;
        judge_params(e);
        return expand_trace(e) != 0 ? -EINVAL : expand_places(e);
    }
    const struct workload_option *option = &workload->options[option_index];
    struct strings values = strings_split(job_param_text(e->job, e->section, option), ',');
    for (size_t i = 0; i < values.count; i++) {
        char expected[256];
        const char *shown = values.items[i];
        if (workload_option_parse(option, shown, &e->cell.params[option_index], expected,
                                  sizeof expected) != 0) {
            say_error("'%s' is not good for '%s' of workload '%s': expected %s", shown,
                      option->name, workload->name, expected);
            return -EINVAL;
        }
        if (option->type == OPTION_TRACE)
            e->trace = shown;
        const char *grown =
            pool_printf("%s%s%s=%s", so_far, *so_far ? " " : "", option->name, shown);
        if (expand_params(e, option_index + 1, grown) != 0)
            return -EINVAL;
    }
    return 0;
}

static uint64_t default_memory_limit(void)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
    return page * pages / 4 * 3;
}

/* Counting instructions needs no turns, since nothing else that runs can change a count; and what is
 * resident under valgrind says nothing. */
static int set_turns(struct expansion *e)
{
    struct cell *cell = &e->cell;
    cell->turns = (uint32_t)job_number(e->job, e->section, OPT_turns);
    if (cell->work != 0 && cell->work < cell->turns) {
        say_error("%sa turn is at least one iteration: 'work' of %llu is not enough for %u turns",
                  where(e, OPT_turns), (unsigned long long)cell->work, cell->turns);
        return -EINVAL;
    }
    if (e->plan->has_instructions) {
        cell->turns = 0;
        cell->has_timeline = cell->has_latency = cell->has_exact_peak = false;
    }
    return 0;
}

/* A trial that is as long as it shall be would not end in time. */
static int check_timeout(const struct expansion *e)
{
    const struct cell *cell = &e->cell;
    char timeout[32], trial_time[32];
    if (cell->work != 0 || e->plan->has_instructions || cell->timeout_ns > cell->trial_time_ns)
        return 0;
    say_error("%s'timeout' of %s is no longer than the measured part alone ('trial-time' of %s)",
              where(e, OPT_timeout), format_duration(cell->timeout_ns, timeout),
              format_duration(cell->trial_time_ns, trial_time));
    return -EINVAL;
}

/* Some rows of a sweep may be unsupported, but not all that the workload would run. */
static int expand_combinations(struct expansion *e)
{
    e->possible = 0;
    if (expand_params(e, 0, "") != 0)
        return -EINVAL;
    if (e->possible > 0)
        return 0;
    say_error("%sthese parameters of workload '%s' exclude one another: %s", where(e, OPT_workload),
              e->cell.workload->name, e->refusal);
    return -EINVAL;
}

static int expand_section(struct expansion *e)
{
    struct strings names = strings_split(text(e, OPT_workload), ',');
    for (size_t i = 0; i < names.count; i++) {
        e->cell = (struct cell){.workload = workload_find(names.items[i])};
        struct cell *cell = &e->cell;
        cell->trial_time_ns = job_number(e->job, e->section, OPT_trial_time);
        cell->timeout_ns = job_number(e->job, e->section, OPT_timeout);
        cell->is_timeout_given = is_given(e, OPT_timeout);
        cell->memory_limit_bytes = job_number(e->job, e->section, OPT_memory_limit);
        if (cell->memory_limit_bytes == 0)
            cell->memory_limit_bytes = default_memory_limit();
        cell->has_latency = job_number(e->job, e->section, OPT_latency) != 0;
        cell->has_timeline = job_number(e->job, e->section, OPT_timeline) != 0;
        cell->has_exact_peak = job_number(e->job, e->section, OPT_exact_peak) != 0;
        cell->work = job_number(e->job, e->section, OPT_work);
        if (check_timeout(e) != 0 || set_turns(e) != 0)
            return -EINVAL;
        if (expand_contenders(e) != 0 || expand_combinations(e) != 0)
            return -EINVAL;
    }
    return 0;
}

/* With --until the number of blocks is only a limit, and one of its own where none was given. */
static uint32_t count_blocks(const struct job *job, const struct plan *plan)
{
    enum { UNTIL_BLOCKS_MAX = 200 };
    if (plan->has_instructions)
        return 1; /* a count that repeats needs no repetition */
    bool is_given = job->global.text[OPT_reps] != NULL;
    return plan->until > 0 && !is_given ? UNTIL_BLOCKS_MAX
                                        : (uint32_t)job_number(job, NULL, OPT_reps);
}

/* Threads that the command line asks for, of which no workload makes use. */
static void say_unused_threads(const struct job *job, const struct plan *plan)
{
    bool is_asked = false;
    for (size_t i = 0; i < job->section_count; i++) {
        const char *at = job->sections[i].option_where[OPT_threads];
        is_asked |= at != NULL && strcmp(at, "--threads") == 0;
    }
    for (uint32_t i = 0; i < plan->cell_count; i++)
        is_asked &= plan->cells[i].input != NULL;
    if (is_asked)
        say_note("--threads has no effect: a trace is replayed with its own threads");
}

int plan_expand(const struct job *job, const struct topo *topo, struct plan *plan)
{
    *plan = (struct plan){
        .seed = job_number(job, NULL, OPT_seed),
        .has_aa = job_number(job, NULL, OPT_aa) != 0,
        .has_instructions = job_number(job, NULL, OPT_instructions) != 0,
    };
    if (job->global.text[OPT_until] != NULL)
        plan->until = job_number(job, NULL, OPT_until);
    plan->blocks = count_blocks(job, plan);
    struct expansion e = {.job = job, .topo = topo, .plan = plan};
    for (size_t i = 0; i < job->section_count; i++) {
        e.section = &job->sections[i];
        if (expand_section(&e) != 0)
            return -EINVAL;
    }
    say_unused_threads(job, plan);
    return 0;
}
