#include "results/env_json.h"

#include "results/machine.h"
#include "results/noted_file.h"
#include "results/traces_json.h"
#include "util/say.h"
#include "util/shell.h"
#include "version.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* A string, or null where there is none. */
static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static const char *now_utc(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    return pool_strdup(text);
}

static json_t *describe_run(const struct rundir *dir, const struct plan *plan, int argc,
                            char **argv)
{
    json_t *command = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(command, json_string(argv[i]));
    char directory[PATH_MAX];
    const char *begun_in = getcwd(directory, sizeof directory);
    return json_pack("{s:s, s:o, s:o, s:s, s:I, s:o, s:b, s:i, s:b}", "name", rundir_name(dir),
                     "command", command, "directory",
                     text_or_null(begun_in != NULL ? utf8_text(begun_in) : NULL), "started",
                     now_utc(), "seed", (json_int_t)plan->seed, "baseline",
                     text_or_null(plan->baseline), "aa", plan->has_aa, "blocks", (int)plan->blocks,
                     "instructions", plan->has_instructions);
}

static json_t *describe_machine(const struct topo *topo, struct clock_scale clock)
{
    struct utsname uts;
    char host[256] = "";
    uname(&uts);
    gethostname(host, sizeof host - 1);
    json_int_t memory = (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:f, s:f}",
                     "hostname", host, "cpu", topo_cpu_model(topo), "cpus",
                     (int)topo_cpu_count(topo), "cores", (int)topo_core_count(topo), "nodes",
                     (int)topo_node_count(topo), "memory_bytes", memory, "kernel",
                     pool_printf("%s %s", uts.sysname, uts.release), "architecture", uts.machine,
                     "libc", pool_printf("glibc %s", gnu_get_libc_version()), "governor",
                     text_or_null(machine_governor()), "thp",
                     text_or_null(
                         machine_read_choice("/sys/kernel/mm/transparent_hugepage/enabled")),
                     "virtual", text_or_null(machine_hypervisor()), "timer",
                     clock.is_tsc ? "tsc" : "clock_gettime", "timer_hz", 1e9 / clock.ns_per_tick,
                     "timer_step_ns", clock.step_ns);
}

static json_t *describe_contenders(const struct plan *plan)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->contender_count; i++) {
        const struct contender *c = &plan->contenders[i];
        const char *colour = c->descriptor != NULL ? c->descriptor->colour : NULL;
        const char *risks = c->descriptor != NULL ? c->descriptor->risks : NULL;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s}",
                                              "label", c->label, "allocator", c->allocator,
                                              "variant", c->variant, "path", c->path, "version",
                                              text_or_null(contender_version(c)), "sha256",
                                              text_or_null(machine_sha256(c->path)), "colour",
                                              text_or_null(colour), "risks", text_or_null(risks),
                                              "environment", strings_join(&c->environment, " ")));
    }
    return list;
}

static json_t *describe_columns(void)
{
    json_t *list = json_array();
    for (int i = 0; i < COLUMN_LAST; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", columns[i].name,
                                              "type", column_type_name(columns[i].type), "unit",
                                              columns[i].unit, "help", columns[i].help));
    return list;
}

static json_t *describe_calibration(const struct plan *plan)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->cell_count; i++) {
        const struct cell *cell = &plan->cells[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:s, s:s, s:I, s:s, s:i, s:I}", "workload",
                                        cell->workload->name, "params", cell->params_text,
                                        "threads", (int)cell->threads, "placement", cell->placement,
                                        "mempolicy", cell->mempolicy, "work",
                                        (json_int_t)cell->work, "unit", cell->workload->work_unit,
                                        "turns", (int)cell->turns, "trial_time_ns",
                                        (json_int_t)cell->trial_time_ns));
    }
    return list;
}

static json_t *describe_warnings(void)
{
    struct machine_problem problems[32];
    size_t count = machine_problems(problems, 32);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(problems[i].problem));
    return list;
}

int env_json_write(struct rundir *dir, const struct plan *plan, const struct topo *topo,
                   struct clock_scale clock, int argc, char **argv)
{
    json_t *root =
        json_pack("{s:i, s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema_version", 1,
                  "heapmark", "version", HEAPMARK_VERSION, "git", HEAPMARK_GIT, "run",
                  describe_run(dir, plan, argc, argv), "machine", describe_machine(topo, clock),
                  "allocators", describe_contenders(plan), "columns", describe_columns(),
                  "calibration", describe_calibration(plan), "traces", traces_json(plan),
                  "warnings", describe_warnings());
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) {
        say_error("cannot describe this run for env.json: a name in it is not UTF-8");
        return -EINVAL;
    }
    int result = rundir_write_file(dir, "env.json", text, strlen(text));
    free(text);
    return result;
}

/* ---- resuming -------------------------------------------------------------------------------- */

static int check_contender(const json_t *list, const struct contender *c)
{
    switch (noted_file(list, "label", c->label, c->path)) {
    case FILE_UNCHANGED: return 0;
    case FILE_CHANGED:
        say_error("allocator '%s' (%s) has changed since the run began; begin a new run", c->label,
                  c->path);
        return -EINVAL;
    default:
        say_error("allocator '%s' is not in the run's env.json; begin a new run", c->label);
        return -EINVAL;
    }
}

static int is_cell(const json_t *entry, const struct cell *cell)
{
    const char *workload, *params, *placement, *mempolicy, *unit;
    int threads;
    json_int_t work;
    return json_unpack((json_t *)entry, "{s:s, s:s, s:i, s:s, s:s, s:I, s:s}", "workload",
                       &workload, "params", &params, "threads", &threads, "placement", &placement,
                       "mempolicy", &mempolicy, "work", &work, "unit", &unit) == 0 &&
           strcmp(workload, cell->workload->name) == 0 && strcmp(params, cell->params_text) == 0 &&
           threads == (int)cell->threads && strcmp(placement, cell->placement) == 0 &&
           strcmp(mempolicy, cell->mempolicy) == 0;
}

/* Writes env.json again for a run that got more blocks. */
static int update_blocks(struct rundir *dir, json_t *root, const struct plan *plan)
{
    json_t *run = json_object_get(root, "run");
    if (json_integer_value(json_object_get(run, "blocks")) == (json_int_t)plan->blocks)
        return 0;
    json_object_set_new(run, "blocks", json_integer((json_int_t)plan->blocks));
    char *text = json_dumps(root, JSON_INDENT(2));
    int result = text != NULL ? rundir_write_file(dir, "env.json", text, strlen(text)) : -ENOMEM;
    free(text);
    return result;
}

const char *env_json_directory(const char *run)
{
    json_t *root = json_load_file(pool_printf("%s/env.json", run), 0, NULL);
    const char *directory =
        json_string_value(json_object_get(json_object_get(root, "run"), "directory"));
    if (directory != NULL)
        directory = pool_strdup(directory);
    json_decref(root);
    return directory;
}

int env_json_resume(struct rundir *dir, struct plan *plan)
{
    const char *path = rundir_path(dir), *file = pool_printf("%s/env.json", path);
    json_error_t error;
    if (access(file, F_OK) != 0)
        return -ENOENT;
    json_t *root = json_load_file(file, 0, &error);
    if (root == NULL) {
        say_error("cannot read '%s': line %d: %s", file, error.line, error.text);
        return -EINVAL;
    }
    const char *name = json_string_value(json_object_get(json_object_get(root, "run"), "name"));
    if (name != NULL)
        rundir_set_name(dir, name);
    int result = traces_json_check(json_object_get(root, "traces"), plan);
    for (uint32_t i = 0; i < plan->contender_count && result == 0; i++)
        result = check_contender(json_object_get(root, "allocators"), &plan->contenders[i]);
    const json_t *calibration = json_object_get(root, "calibration");
    for (uint32_t i = 0; i < plan->cell_count && result == 0; i++) {
        struct cell *cell = &plan->cells[i];
        /* Cells stand in the order of the plan; a repeated one differs only by position. */
        const json_t *entry = json_array_get(calibration, i);
        if (!is_cell(entry, cell)) {
            say_error("'%s' was written for another plan than '%s/job.ini' gives; begin a new run",
                      file, path);
            result = -EINVAL;
        } else {
            cell->work = (uint64_t)json_integer_value(json_object_get(entry, "work"));
        }
    }
    if (result == 0)
        result = update_blocks(dir, root, plan);
    json_decref(root);
    return result;
}
