/* heapmark run: job, plan, trials, run directory, ranking. */
#include "cmd/cmd.h"

#include "job/job.h"
#include "plan/plan.h"
#include "results/env_json.h"
#include "results/rundir.h"
#include "runner/calibrate.h"
#include "runner/progress.h"
#include "runner/session.h"
#include "util/analysis.h"
#include "util/cli.h"
#include "util/parse.h"
#include "util/say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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
    const char *out, *resume;
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
    if (call->resume != NULL && (call->names.count > 0 || call->setting_count > 0 || call->out)) {
        say_error("--resume goes on with the run as it was begun; give nothing else with it");
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

static int build_job(const struct call *call, struct job *job)
{
    if (call->resume != NULL) {
        const char *file = pool_printf("%s/job.ini", call->resume);
        if (access(file, R_OK) == 0)
            return job_add(job, file);
        say_error("there is no run in '%s' to resume: it has no job.ini", call->resume);
        return -EINVAL;
    }
    for (size_t i = 0; i < call->names.count; i++)
        if (job_add(job, call->names.items[i]) != 0)
            return -EINVAL;
    for (size_t i = 0; i < call->setting_count; i++) {
        const struct setting *setting = &call->settings[i];
        int result = setting->id == OPT_set
                         ? job_override_param(job, setting->value)
                         : job_override(job, &run_options[setting->id], setting->value);
        if (result != 0)
            return -EINVAL;
    }
    return 0;
}

static void print_plan(const struct plan *plan)
{
    char time[32];
    printf("%-6s %-6s %-10s %-34s %-8s %s\n", "trial", "block", "workload", "params", "threads",
           "allocator");
    for (uint32_t i = 0; i < plan->trial_count; i++) {
        const struct planned *t = &plan->trials[i];
        const struct cell *cell = &plan->cells[t->cell];
        printf("%-6u %-6u %-10s %-34s %-8u %s%s\n", i, t->block, cell->workload->name,
               cell->params_text, cell->threads, plan->contenders[t->contender].label,
               t->is_aa ? " (aa)" : "");
    }
    printf("%u trials in %u blocks, about %s\n", plan->trial_count, plan->blocks,
           format_duration(plan_estimate_ns(plan), time));
}

/* ---- the run --------------------------------------------------------------------------------- */

struct run {
    const struct call *call;
    struct job job;
    struct plan plan;
    struct topo *topo;
    struct spawner *spawner;
    struct rundir *dir;
    struct session session;
};

static int write_job(struct run *run)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return -ENOMEM;
    job_write(&run->job, stream);
    int result =
        fclose(stream) == 0 ? rundir_write_file(run->dir, "job.ini", text, length) : -ENOMEM;
    free(text);
    return result;
}

static int open_dir(struct run *run)
{
    if (run->call->resume != NULL)
        return rundir_resume(run->call->resume, run->session.done, run->plan.trial_count,
                             &run->dir);
    const char *path = run->call->out;
    if (path == NULL) {
        char stamp[32];
        time_t now = time(NULL);
        struct tm tm;
        strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
        path = pool_printf("results/%s-%s", run->job.name, stamp);
    }
    int result = rundir_create(path, &run->dir);
    return result == 0 ? write_job(run) : result;
}

static int calibrate(struct run *run)
{
    struct progress progress;
    uint64_t left_ns = 0;
    int result = 0;
    for (uint32_t i = 0; i < run->plan.cell_count; i++)
        left_ns += run->plan.cells[i].work == 0 ? run->plan.cells[i].trial_time_ns : 0;
    progress_start(&progress, "calibrating", run->plan.cell_count);
    for (uint32_t i = 0; i < run->plan.cell_count && result == 0; i++) {
        struct cell *cell = &run->plan.cells[i];
        progress_step(&progress, pool_printf("%s %s", cell->workload->name, cell->params_text),
                      left_ns);
        if (cell->work != 0)
            continue;
        result = calibrate_cell(cell, &run->plan, run->topo, run->spawner, run->session.clock);
        left_ns -= cell->trial_time_ns;
    }
    progress_end(&progress);
    return result;
}

/* The calibrated work: kept by a resumed run, found and written down by a new one. */
static int prepare(struct run *run)
{
    run->session.clock = clock_calibrate(CALIBRATION_MS);
    clock_use(run->session.clock);
    int result = spawner_open(&run->spawner);
    if (result != 0)
        return result;
    result = run->call->resume ? env_json_resume(run->call->resume, &run->plan) : -ENOENT;
    if (result != -ENOENT)
        return result;
    result = calibrate(run);
    if (result != 0)
        return result;
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
    return session_run(s);
}

/* What is left to say; returns the exit code. */
static int conclude(struct run *run, int error)
{
    const struct session *s = &run->session;
    const char *path = run->dir != NULL ? rundir_path(run->dir) : NULL;
    if (error == -EINTR)
        say_note("interrupted; finished trials are kept, go on with: heapmark run --resume='%s'",
                 path);
    if (error != 0)
        return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    if (s->skipped > 0)
        say_note("the time budget ended the run %u blocks early; --time-budget=0 lifts it",
                 s->skipped / run->plan.trials_in_block);
    if (s->failed > 0)
        say_note("%u of %u trials did not end ok; their rows say why", s->failed, s->ran);
    int analysis = analysis_run((const char *const[]){"ranking", path, NULL});
    return s->failed > 0 || analysis != 0 ? EXIT_FAILED : EXIT_OK;
}

static int run_plan(struct run *run)
{
    run->session.done = pool_alloc(run->plan.trial_count * sizeof(bool));
    if (open_dir(run) != 0)
        return EXIT_USAGE;
    int error = prepare(run);
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
    plan_order(&run->plan);
    if (!run->call->is_dry)
        return run_plan(run);
    print_plan(&run->plan);
    return EXIT_OK;
}

int cmd_run(int argc, char **argv)
{
    struct call call;
    if (parse_call(argc, argv, &call) != 0)
        return EXIT_USAGE;
    struct run run = {.call = &call};
    if (build_job(&call, &run.job) != 0 || job_check(&run.job) != 0)
        return EXIT_USAGE;
    int code = plan_and_run(&run);
    rundir_close(run.dir);
    spawner_close(run.spawner);
    topo_close(run.topo);
    return code;
}
