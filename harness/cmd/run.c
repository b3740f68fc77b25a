/* heapmark run: job, plan, trials, run directory, ranking. */
#include "cmd/cmd.h"

#include "job/job.h"
#include "plan/plan.h"
#include "results/env_json.h"
#include "results/rundir.h"
#include "runner/calibrate.h"
#include "runner/callgrind.h"
#include "runner/progress.h"
#include "runner/session.h"
#include "util/analysis.h"
#include "util/cli.h"
#include "util/parse.h"
#include "util/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEY_FIRST = 0x100, CALIBRATION_MS = 50 };

struct setting {
    enum run_option_id id;
    const char *value;
};

struct call {
    int argc;
    char **argv;
    struct strings names;
    struct setting *settings;
    size_t setting_count;
    const char *out, *resume, *like;
    bool is_dry;
};

/* ---- the command line ------------------------------------------------------------------------ */

static int parse_option(int key, char *value, struct argp_state *state)
{
    struct call *call = state->input;
    if (key == ARGP_KEY_ARG) {
        strings_add(&call->names, value);
        return 0;
    }
    if (key < KEY_FIRST || key >= KEY_FIRST + OPT_COUNT)
        return ARGP_ERR_UNKNOWN;
    enum run_option_id id = (enum run_option_id)(key - KEY_FIRST);
    switch (id) {
    case OPT_out: call->out = value; return 0;
    case OPT_resume: call->resume = value; return 0;
    case OPT_like: call->like = value; return 0;
    case OPT_dry_run: call->is_dry = true; return 0;
    default: break;
    }
    call->settings[call->setting_count++] =
        (struct setting){.id = id, .value = value ? value : "yes"};
    return 0;
}

/* The table of options in argp's form. A flag may stand without its value. */
static const struct argp_option *argp_options(void)
{
    struct argp_option *list = pool_alloc((OPT_COUNT + 1) * sizeof *list);
    size_t count = 0;
    for (int id = 0; id < OPT_COUNT; id++) {
        const struct run_option *option = &run_options[id];
        if (id == OPT_workload) /* on the command line it is a plain argument */
            continue;
        const char *fallback = option->fallback && option->argument
                                   ? pool_printf(" (default: %s)", option->fallback)
                                   : "";
        list[count++] = (struct argp_option){
            .name = option->name,
            .key = KEY_FIRST + id,
            .arg = option->argument,
            .flags = option->type == TYPE_FLAG && option->argument ? OPTION_ARG_OPTIONAL : 0,
            .doc = pool_printf("%s%s", option->help, fallback),
        };
    }
    return list;
}

static int parse_call(int argc, char **argv, struct call *call)
{
    const struct argp argp = {
        .options = argp_options(),
        .parser = parse_option,
        .args_doc = "JOB|WORKLOAD|TRACE...",
        .doc = "Runs jobs, workloads or traces against allocators and prints the ranking.\v"
               "A job is a shipped one ('heapmark list jobs') or a .ini file; a trace is a shipped "
               "one "
               "or a .hmt file. A comma list sweeps. Example:\n"
               "  heapmark run pair --set size=16,64,1024 --threads=1,2 --allocators=all --aa\n",
    };
    *call = (struct call){.argc = argc, .argv = argv};
    call->settings = pool_alloc((size_t)argc * sizeof *call->settings);
    if (cli_parse(&argp, argc, argv, call) != 0)
        return -EINVAL;
    bool only_reps = call->setting_count == 1 && call->settings[0].id == OPT_reps;
    if (call->resume != NULL &&
        (call->names.count > 0 || (call->setting_count > 0 && !only_reps) || call->out)) {
        say_error("--resume goes on with the run as it was begun; only --reps=MORE may stand with "
                  "it, which adds blocks");
        return -EINVAL;
    }
    if (call->like != NULL && (call->resume == NULL || !only_reps)) {
        say_error("--like chooses what --resume=DIR --reps=MORE adds, and stands with these two");
        return -EINVAL;
    }
    if (call->resume == NULL && call->names.count == 0) {
        say_error(
            "nothing to run: name a job, a workload or a trace; 'heapmark list jobs' shows the "
            "shipped jobs, 'heapmark run quick' is a good beginning");
        return -EINVAL;
    }
    return 0;
}

/* ---- the job --------------------------------------------------------------------------------- */

/* A run goes on where it was begun: its job may name traces and allocators by relative paths. */
static void return_to_directory(struct call *call)
{
    char *path = realpath(call->resume, NULL);
    if (path == NULL)
        return;
    const char *directory = env_json_directory(path);
    if (directory != NULL && chdir(directory) == 0)
        call->resume = pool_strdup(path);
    free(path);
}

/* The job of a run that goes on, with more blocks if --reps says so. */
static int build_resumed_job(const struct call *call, struct job *job)
{
    const char *file = pool_printf("%s/job.ini", call->resume);
    if (access(file, R_OK) != 0) {
        say_error("there is no run in '%s' to resume: it has no job.ini; name what 'heapmark run' "
                  "made",
                  call->resume);
        return -EINVAL;
    }
    if (job_add(job, file) != 0)
        return -EINVAL;
    if (call->setting_count == 0)
        return 0;
    uint64_t before = job_number(job, NULL, OPT_reps);
    if (job_override(job, &run_options[OPT_reps], call->settings[0].value) != 0)
        return -EINVAL;
    if (job_number(job, NULL, OPT_reps) >= before)
        return 0;
    say_error("--reps=%s is less than the %llu blocks of run '%s'; blocks can only be added",
              call->settings[0].value, (unsigned long long)before, call->resume);
    return -EINVAL;
}

/* A job's own number of blocks is no limit for --until; one on the command line is. */
static void lift_reps(const struct call *call, struct job *job)
{
    bool has_until = false, has_reps = false;
    for (size_t i = 0; i < call->setting_count; i++) {
        has_until |= call->settings[i].id == OPT_until;
        has_reps |= call->settings[i].id == OPT_reps;
    }
    if (has_until && !has_reps)
        job->global.text[OPT_reps] = NULL;
}

/* The command line's settings without --baseline, or that alone: laid over the job last, since a
 * section whose own baseline is 'none' keeps its allocators (job_override). */
static int lay_over(const struct call *call, struct job *job, bool is_baseline)
{
    for (size_t i = 0; i < call->setting_count; i++) {
        const struct setting *setting = &call->settings[i];
        if ((setting->id == OPT_baseline) != is_baseline)
            continue;
        int result = setting->id == OPT_set
                         ? job_override_param(job, setting->value)
                         : job_override(job, &run_options[setting->id], setting->value);
        if (result != 0)
            return -EINVAL;
    }
    return 0;
}

static int build_job(const struct call *call, struct job *job)
{
    if (call->resume != NULL)
        return build_resumed_job(call, job);
    for (size_t i = 0; i < call->names.count; i++)
        if (job_add(job, call->names.items[i]) != 0)
            return -EINVAL;
    if (lay_over(call, job, false) != 0 || lay_over(call, job, true) != 0)
        return -EINVAL;
    lift_reps(call, job);
    return 0;
}

struct run {
    const struct call *call;
    struct job job;
    struct plan plan;
    struct topo *topo;
    struct spawner *spawner;
    struct rundir *dir;
    struct session session;
    struct until until;
    struct callgrind_run callgrind;
};

/* ---- before it starts ------------------------------------------------------------------------ */

/* Blocks that will run: all of the plan, or those for which the budget has time. */
static uint32_t expected_blocks(const struct plan *plan, uint64_t budget_ns)
{
    uint64_t block_ns = plan_estimate_ns(plan) / (plan->blocks > 0 ? plan->blocks : 1);
    if (budget_ns == 0 || block_ns == 0 || budget_ns / block_ns >= plan->blocks)
        return plan->blocks;
    return budget_ns > block_ns ? (uint32_t)(budget_ns / block_ns) : 1;
}

/*
 * What differences the run will be able to tell, from noise that was measured before. Only where
 * the answer comes long before the run's own, and where blocks are what decides; not of paced
 * cells, whose time is the recording's.
 */
static void say_detectable(const struct run *run)
{
    const uint64_t long_ns = 10000000000u;
    const struct plan *plan = &run->plan;
    uint64_t budget_ns = job_number(&run->job, NULL, OPT_time_budget);
    if (plan->has_instructions || plan->until > 0 || plan->cell_count == 0 ||
        plan_estimate_ns(plan) < long_ns)
        return;
    struct strings words = {0};
    strings_add(&words, "detectable");
    strings_add(&words, pool_printf("--blocks=%u", expected_blocks(plan, budget_ns)));
    strings_add(&words, pool_printf("--turns=%u", plan->cells[0].turns));
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if (plan->cells[i].baseline >= 0 && plan->cells[i].paced_ns == 0)
            strings_add(&words, plan->cells[i].workload->name);
    if (words.count > 3)
        (void)analysis_run(words.items); /* a sentence less is no reason not to run */
}

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

static void print_plan(const struct plan *plan)
{
    char fast[32], slow[32];
    int workload = 10, params = 34;
    for (uint32_t i = 0; i < plan->cell_count; i++) {
        workload = wider(workload, plan->cells[i].workload->name);
        params = wider(params, plan->cells[i].params_text);
    }
    printf("%-6s %-6s %-*s %-*s %-8s %s\n", "trial", "block", workload, "workload", params,
           "params", "threads", "allocator");
    for (uint32_t i = 0; i < plan->trial_count; i++) {
        const struct planned *t = &plan->trials[i];
        const struct cell *cell = &plan->cells[t->cell];
        printf("%-6u %-6u %-*s %-*s %-8u %s%s\n", i, t->block, workload, cell->workload->name,
               params, cell->params_text, cell->threads, plan->contenders[t->contender].label,
               t->is_aa ? " (aa)" : "");
    }
    printf("%u trial%s in %u block%s, %s if all are as fast as the baseline, %s if the others take "
           "twice as long\n",
           plan->trial_count, say_plural(plan->trial_count), plan->blocks, say_plural(plan->blocks),
           format_duration(plan_estimate_ns(plan), fast),
           format_duration(plan_estimate_slow_ns(plan), slow));
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The job as a job file: to be freed, or NULL. */
static char *job_file(const struct job *job)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    job_write(job, stream);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

static int write_job(struct run *run)
{
    char *text = job_file(&run->job);
    int result =
        text != NULL ? rundir_write_file(run->dir, "job.ini", text, strlen(text)) : -ENOMEM;
    free(text);
    return result;
}

/* results/JOB-TIME, made here, so that of two runs that begin in one second each gets its own. */
static const char *new_directory(const char *job)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    const char *first = pool_printf("results/%s-%s", job, stamp), *path = first;
    (void)mkdir("results", 0777); /* rundir_create() says what is wrong */
    for (unsigned i = 2; mkdir(path, 0777) != 0 && errno == EEXIST; i++)
        path = pool_printf("%s-%u", first, i);
    return path;
}

static int open_dir(struct run *run)
{
    if (run->call->resume != NULL)
        return rundir_resume(run->call->resume, run->plan.units, run->session.done,
                             run->plan.trial_count, &run->dir);
    const char *path = run->call->out != NULL ? run->call->out : new_directory(run->job.name);
    char *text = job_file(&run->job);
    int result = text != NULL ? rundir_create(path, text, &run->dir) : -ENOMEM;
    free(text);
    return result;
}

/* --like: marks as done what is not wanted now, in all its blocks. 0 or -EINVAL. */
static int leave_others(struct run *run)
{
    const struct plan *plan = &run->plan;
    bool *is_wanted = pool_alloc(plan->cell_count * sizeof *is_wanted);
    const char *text = run->call->like;
    do {
        char *end;
        errno = 0;
        unsigned long trial = strtoul(text, &end, 10);
        if (end == text || *text == '-' || errno != 0 || trial >= plan->trial_count ||
            (*end != ',' && *end != '\0')) {
            say_error("--like='%s' is no list of trials of run '%s', which are 0 to %u",
                      run->call->like, run->call->resume, plan->trial_count - 1);
            return -EINVAL;
        }
        is_wanted[plan->trials[trial].cell] = true;
        text = *end == ',' ? end + 1 : end;
    } while (*text != '\0');
    for (uint32_t i = 0; i < plan->trial_count; i++)
        run->session.done[i] |= !is_wanted[plan->trials[i].cell];
    return 0;
}

static int calibrate(struct run *run)
{
    const struct calibration calibration = {.plan = &run->plan,
                                            .topo = run->topo,
                                            .spawner = run->spawner,
                                            .clock = run->session.clock,
                                            .callgrind = run->session.callgrind};
    struct progress progress;
    uint64_t left_ns = 0;
    uint32_t left = 0;
    int result = 0;
    for (uint32_t i = 0; i < run->plan.cell_count; i++) {
        left += run->plan.cells[i].work == 0;
        left_ns += run->plan.cells[i].work == 0 ? run->plan.cells[i].trial_time_ns : 0;
    }
    progress_start(&progress, "calibrating", left);
    for (uint32_t i = 0; i < run->plan.cell_count && result == 0; i++) {
        struct cell *cell = &run->plan.cells[i];
        if (cell->work != 0)
            continue;
        progress_step(&progress, 1, pool_printf("%s %s", cell->workload->name, cell->params_text),
                      left_ns);
        result = calibrate_cell(cell, &calibration);
        left_ns -= cell->trial_time_ns;
    }
    progress_end(&progress);
    return result;
}

/* A long iteration allows fewer turns than were asked for: said, because pairs get rarer by it. */
static void settle_turns(struct run *run)
{
    for (uint32_t i = 0; i < run->plan.cell_count; i++) {
        struct cell *cell = &run->plan.cells[i];
        uint32_t wanted = cell->turns;
        if (!cell_settle_turns(cell))
            say_note("%s %s: a turn is at least one iteration (%s), so that %u turns become %u; a "
                     "longer --trial-time allows more",
                     cell->workload->name, cell->params_text, cell->workload->work_unit, wanted,
                     cell->turns);
    }
}

/* The calibrated work: kept by a resumed run, found and written down by a new one. */
static int prepare(struct run *run)
{
    run->session.clock = clock_calibrate(CALIBRATION_MS);
    clock_use(run->session.clock);
    int result = spawner_open(&run->spawner);
    if (result != 0)
        return result;
    run->callgrind.out = pool_printf("%s/.callgrind.out", rundir_path(run->dir));
    result = run->call->resume ? env_json_resume(run->dir, &run->plan) : -ENOENT;
    if (result == 0)
        settle_turns(run);
    if (result != -ENOENT)
        return result;
    result = calibrate(run);
    if (result != 0)
        return result;
    settle_turns(run);
    return env_json_write(run->dir, &run->plan, run->topo, run->session.clock, run->call->argc,
                          run->call->argv);
}

static int run_session(struct run *run)
{
    struct session *s = &run->session;
    s->plan = &run->plan;
    s->topo = run->topo;
    s->spawner = run->spawner;
    s->dir = run->dir;
    s->time_budget_ns = job_number(&run->job, NULL, OPT_time_budget);
    if (run->plan.until > 0)
        s->until = &run->until;
    run->until = (struct until){.run = rundir_path(run->dir),
                                .percent = job_text(&run->job, NULL, OPT_until)};
    return session_run(s);
}

/* What is left to say; returns the exit code. */
static int conclude(struct run *run, int error)
{
    const struct session *s = &run->session;
    const char *path = run->dir != NULL ? rundir_path(run->dir) : NULL;
    if (run->plan.has_instructions && path != NULL)
        (void)unlink(run->callgrind.out); /* what a trial left that did not end well */
    if (error == -EINTR)
        say_note("interrupted; finished trials are kept, go on with: heapmark run --resume='%s'",
                 path);
    if (error != 0)
        return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    if (run->plan.until > 0 && !run->until.was_reached)
        say_note("not every interval got as narrow as --until=%s asks%s", run->until.percent,
                 s->skipped > 0 ? " before the time budget ended" : "; more --reps may do it");
    else if (s->skipped > 0)
        say_note("the time budget ended the run %u block%s early; --time-budget=0 lifts it",
                 s->skipped / run->plan.trials_in_block,
                 say_plural(s->skipped / run->plan.trials_in_block));
    if (s->failed > 0)
        say_note("%u of %u trial%s did not end ok; their rows say why", s->failed, s->ran,
                 say_plural(s->ran));
    const char *what = run->plan.has_instructions ? "instructions" : "ranking";
    int analysis = analysis_run((const char *const[]){what, path, NULL});
    return s->failed > 0 || analysis != 0 ? EXIT_FAILED : EXIT_OK;
}

static int run_plan(struct run *run)
{
    run->session.done = pool_alloc(run->plan.trial_count * sizeof(bool));
    if (open_dir(run) != 0 || (run->call->like != NULL && leave_others(run) != 0))
        return EXIT_USAGE;
    if (run->call->resume == NULL)
        say_detectable(run);
    int error = prepare(run);
    if (error == 0 && run->call->resume != NULL && run->call->setting_count > 0)
        error = write_job(run); /* with the larger number of blocks */
    if (error == 0)
        error = run_session(run);
    return conclude(run, error);
}

static int plan_and_run(struct run *run)
{
    run->topo = topo_open();
    if (run->topo == NULL)
        return EXIT_FAILED;
    if (plan_expand(&run->job, run->topo, &run->plan) != 0)
        return EXIT_USAGE;
    if (run->plan.has_instructions) {
        run->session.callgrind = &run->callgrind;
        if ((run->callgrind.program = callgrind_program()) == NULL)
            return EXIT_USAGE;
        run->callgrind.tool = callgrind_tool(run->callgrind.program);
    }
    plan_order(&run->plan);
    if (!run->call->is_dry)
        return run_plan(run);
    print_plan(&run->plan);
    say_detectable(run);
    return EXIT_OK;
}

int cmd_run(int argc, char **argv)
{
    struct call call;
    if (parse_call(argc, argv, &call) != 0)
        return EXIT_USAGE;
    if (call.resume != NULL)
        return_to_directory(&call);
    struct run run = {.call = &call};
    if (build_job(&call, &run.job) != 0 || job_check(&run.job) != 0)
        return EXIT_USAGE;
    int code = plan_and_run(&run);
    rundir_close(run.dir);
    spawner_close(run.spawner);
    topo_close(run.topo);
    return code;
}
