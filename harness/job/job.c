#include "job/job.h"

#include "job/job_file.h"
#include "job/params.h"
#include "util/errno_text.h"
#include "util/nearest.h"
#include "util/paths.h"
#include "util/pool.h"
#include "util/say.h"
#include "workloads/registry.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- building -------------------------------------------------------------------------------- */

struct section *job_section_new(struct job *job, const char *name, const char *where)
{
    struct section *sections = pool_alloc((job->section_count + 1) * sizeof *sections);
    if (job->section_count > 0)
        memcpy(sections, job->sections, job->section_count * sizeof *sections);
    job->sections = sections;
    struct section *section = &sections[job->section_count++];
    section->name = pool_strdup(name);
    section->where = pool_strdup(where);
    return section;
}

int section_set_option(struct section *section, const struct run_option *option, const char *value,
                       const char *where)
{
    char expected[128];
    if (run_option_check(option, value, expected, sizeof expected) != 0) {
        say_error("%s%s'%s' is not good for '%s': expected %s", where, *where ? ": " : "", value,
                  option->name, expected);
        return -EINVAL;
    }
    size_t id = (size_t)(option - run_options);
    section->text[id] = pool_strdup(value);
    section->option_where[id] = pool_strdup(where);
    return 0;
}

int section_set_param(struct section *section, const char *key, const char *values,
                      const char *where)
{
    size_t i = 0;
    while (i < section->param_count && strcmp(section->params[i].key, key) != 0)
        i++;
    if (i == SECTION_PARAMS_MAX) {
        say_error("%s%smore than %d workload parameters", where, *where ? ": " : "",
                  SECTION_PARAMS_MAX);
        return -EINVAL;
    }
    section->params[i] = (struct section_param){.key = pool_strdup(key),
                                                .values = pool_strdup(values),
                                                .where = pool_strdup(where)};
    if (i == section->param_count)
        section->param_count++;
    return 0;
}

/* ---- what a name on the command line stands for ---------------------------------------------- */

static int has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), cut = strlen(suffix);
    return length >= cut && strcmp(name + length - cut, suffix) == 0;
}

/* The last component without its suffix: what a run of this file is called. */
static const char *stem(const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name ? pool_printf("%.*s", (int)(dot - name), name)
                                      : pool_strdup(name);
}

static int add_file(struct job *job, const char *path, const char *label)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        say_error("cannot open job file '%s': %s; 'heapmark list jobs' shows the shipped ones, "
                  "which are given without '.ini'",
                  label, errno_text(errno));
        return -EINVAL;
    }
    int result = job_add_stream(job, stream, label);
    fclose(stream);
    return result;
}

static int unknown_name(const char *name)
{
    if (paths_is_file(name)) {
        say_error("'%s' is neither a trace, whose name ends in .hmt, nor a job file, whose name "
                  "ends in .ini",
                  name);
        return -EINVAL;
    }
    struct strings names = {0};
    for (size_t i = 0; workloads[i] != NULL; i++)
        strings_add(&names, workloads[i]->name);
    strings_append(&names, paths_shipped("jobs", ".ini"));
    strings_append(&names, paths_shipped("traces", ".hmt"));
    say_error("'%s' is no job, workload or trace%s 'heapmark list' shows what there is", name,
              say_hint(nearest(name, names.items, names.count)));
    return -EINVAL;
}

static void extend_name(struct job *job, const char *name)
{
    job->name = job->name == NULL ? name : pool_printf("%s+%s", job->name, name);
}

int job_add(struct job *job, const char *name)
{
    char path[PATH_MAX];
    int is_trace = has_suffix(name, ".hmt");
    if (has_suffix(name, ".ini")) {
        extend_name(job, stem(name));
        return add_file(job, name, name);
    }
    if (!is_trace && workload_find(name) != NULL) {
        extend_name(job, pool_strdup(name));
        struct section *section = job_section_new(job, name, "");
        return section_set_option(section, &run_options[OPT_workload], name, "");
    }
    if (!is_trace && strchr(name, '/') == NULL &&
        paths_shared(pool_printf("jobs/%s.ini", name), path, sizeof path) == 0) {
        extend_name(job, pool_strdup(name));
        return add_file(job, path, pool_printf("%s.ini", name));
    }
    if (is_trace && strchr(name, ',') != NULL && paths_is_file(name)) {
        say_error("'%s' has a comma in its name, and a comma list is a sweep; give the trace "
                  "another name",
                  name);
        return -EINVAL;
    }
    if (is_trace || paths_shared(pool_printf("traces/%s.hmt", name), path, sizeof path) == 0) {
        extend_name(job, stem(name));
        struct section *section = job_section_new(job, stem(name), "");
        if (section_set_option(section, &run_options[OPT_workload], "replay", "") != 0)
            return -EINVAL;
        return section_set_param(section, "trace", name, "");
    }
    return unknown_name(name);
}

/* ---- laying the command line over it --------------------------------------------------------- */

int job_override(struct job *job, const struct run_option *option, const char *value)
{
    const char *where = pool_printf("--%s", option->name);
    if (option->scope == SCOPE_RUN)
        return section_set_option(&job->global, option, value, where);
    for (size_t i = 0; i < job->section_count; i++) {
        /* A job that says 'none' has no baseline to replace: it measures the harness. */
        const char *own = job_text(job, &job->sections[i], OPT_baseline);
        int is_floor = strcmp(own, "none") == 0;
        if (is_floor &&
            (option == &run_options[OPT_baseline] || option == &run_options[OPT_allocators]))
            continue;
        if (section_set_option(&job->sections[i], option, value, where) != 0)
            return -EINVAL;
    }
    return 0;
}

/* The workloads that a section names; they need not exist. */
static struct strings section_workloads(const struct job *job, const struct section *section)
{
    const char *text = job_text(job, section, OPT_workload);
    return strings_split(text ? text : "", ',');
}

static int section_knows(const struct job *job, const struct section *section, const char *key,
                         struct strings *known)
{
    struct strings names = section_workloads(job, section);
    int found = 0;
    for (size_t i = 0; i < names.count; i++) {
        const struct workload *workload = workload_find(names.items[i]);
        for (size_t o = 0; workload != NULL && o < workload_option_count(workload); o++) {
            strings_add(known, workload->options[o].name);
            found |= strcmp(workload->options[o].name, key) == 0;
        }
    }
    return found;
}

static const struct section_param *find_param(const struct section *section, const char *key)
{
    for (size_t i = 0; i < section->param_count; i++)
        if (strcmp(section->params[i].key, key) == 0)
            return &section->params[i];
    return NULL;
}

int job_override_param(struct job *job, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment || equals[1] == '\0') {
        say_error("--set: '%s' is not KEY=LIST, such as size=16,64", assignment);
        return -EINVAL;
    }
    const char *key = pool_printf("%.*s", (int)(equals - assignment), assignment);
    struct strings known = {0};
    int applied = 0;
    for (size_t i = 0; i < job->section_count; i++) {
        if (!section_knows(job, &job->sections[i], key, &known))
            continue;
        const struct section_param *given = find_param(&job->sections[i], key);
        if (given != NULL && *given->where == '\0') { /* the run is called after it */
            say_error("--set: '%s' is '%s' by name already; name '%s' in its place", key,
                      given->values, equals + 1);
            return -EINVAL;
        }
        if (section_set_param(&job->sections[i], key, equals + 1, "--set") != 0)
            return -EINVAL;
        applied = 1;
    }
    if (applied)
        return 0;
    say_error("--set: no workload of this run has a parameter '%s'%s", key,
              say_did_you_mean(nearest(key, known.items, known.count)));
    return -EINVAL;
}

/* ---- reading --------------------------------------------------------------------------------- */

const char *job_text(const struct job *job, const struct section *section, enum run_option_id id)
{
    if (section != NULL && section->text[id] != NULL)
        return section->text[id];
    return job->global.text[id] != NULL ? job->global.text[id] : run_options[id].fallback;
}

uint64_t job_number(const struct job *job, const struct section *section, enum run_option_id id)
{
    return run_option_number(&run_options[id], job_text(job, section, id));
}

const char *job_param_text(const struct job *job, const struct section *section,
                           const struct workload_option *option)
{
    const struct section_param *param = find_param(section, option->name);
    if (param == NULL)
        param = find_param(&job->global, option->name);
    return param != NULL ? param->values : option->fallback;
}

/* ---- checking -------------------------------------------------------------------------------- */

/* "quick.ini:12: " or "" before a message. */
static const char *prefix(const char *where)
{
    return where != NULL && *where ? pool_printf("%s: ", where) : "";
}

static int check_param(const struct job *job, const struct section *section,
                       const struct section_param *param)
{
    struct strings known = {0}, names = section_workloads(job, section);
    if (!section_knows(job, section, param->key, &known)) {
        say_error("%sunknown key '%s'%s 'heapmark list workloads' shows each workload's parameters",
                  prefix(param->where), param->key,
                  say_hint(run_option_nearest(param->key, known.items, known.count)));
        return -EINVAL;
    }
    struct strings values = strings_split(param->values, ',');
    for (size_t i = 0; i < names.count; i++) {
        const struct workload *workload = workload_find(names.items[i]);
        const struct workload_option *option =
            workload != NULL ? workload_option_find(workload, param->key) : NULL;
        for (size_t v = 0; option != NULL && v < values.count; v++) {
            char expected[256];
            uint64_t value;
            if (workload_option_parse(option, values.items[v], &value, expected, sizeof expected) ==
                0)
                continue;
            say_error("%s'%s' is not good for '%s' of workload '%s': expected %s",
                      prefix(param->where), values.items[v], param->key, workload->name, expected);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_workloads(const struct job *job, const struct section *section)
{
    struct strings names = section_workloads(job, section), known = {0};
    if (names.count == 0) {
        say_error("%sjob '%s' names no workload; add 'workload = NAME'", prefix(section->where),
                  section->name);
        return -EINVAL;
    }
    for (size_t i = 0; workloads[i] != NULL; i++)
        strings_add(&known, workloads[i]->name);
    for (size_t i = 0; i < names.count; i++) {
        const struct workload *workload = workload_find(names.items[i]);
        if (workload == NULL) {
            say_error("%sunknown workload '%s'%s 'heapmark list workloads' shows what there is",
                      prefix(section->option_where[OPT_workload]), names.items[i],
                      say_hint(nearest(names.items[i], known.items, known.count)));
            return -EINVAL;
        }
        for (size_t o = 0; o < workload_option_count(workload); o++)
            if (job_param_text(job, section, &workload->options[o]) == NULL) {
                say_error("%sworkload '%s' of job '%s' needs '%s': %s", prefix(section->where),
                          workload->name, section->name, workload->options[o].name,
                          workload->options[o].help);
                return -EINVAL;
            }
    }
    return 0;
}

/* A global parameter must mean something to at least one job. */
static int check_global_param(const struct job *job, const struct section_param *param)
{
    struct strings known = {0};
    for (size_t i = 0; i < job->section_count; i++)
        if (section_knows(job, &job->sections[i], param->key, &known))
            return check_param(job, &job->sections[i], param);
    say_error("%sunknown key '%s'%s", prefix(param->where), param->key,
              say_did_you_mean(run_option_nearest(param->key, known.items, known.count)));
    return -EINVAL;
}

int job_check(const struct job *job)
{
    if (job->section_count == 0) {
        say_error("nothing to run: the job has no section such as [pair]");
        return -EINVAL;
    }
    for (size_t i = 0; i < job->section_count; i++) {
        const struct section *section = &job->sections[i];
        if (check_workloads(job, section) != 0)
            return -EINVAL;
        for (size_t p = 0; p < section->param_count; p++)
            if (check_param(job, section, &section->params[p]) != 0)
                return -EINVAL;
    }
    for (size_t p = 0; p < job->global.param_count; p++)
        if (check_global_param(job, &job->global.params[p]) != 0)
            return -EINVAL;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_section(const struct section *section, const char *name, FILE *stream)
{
    fprintf(stream, "[%s]\n", name);
    for (size_t id = 0; id < OPT_COUNT; id++)
        if (section->text[id] != NULL && run_options[id].scope != SCOPE_CALL)
            fprintf(stream, "%s = %s\n", run_options[id].name, section->text[id]);
    for (size_t p = 0; p < section->param_count; p++)
        fprintf(stream, "%s = %s\n", section->params[p].key, section->params[p].values);
}

void job_write(const struct job *job, FILE *stream)
{
    fprintf(stream, "; this run as a job file: 'heapmark run' with it repeats the run\n");
    write_section(&job->global, "global", stream);
    for (size_t i = 0; i < job->section_count; i++) {
        fputc('\n', stream);
        write_section(&job->sections[i], job->sections[i].name, stream);
    }
}
