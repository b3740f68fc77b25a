/* heapmark list: allocators, workloads, jobs, metrics, traces; --csv gives one row each. */
#include "cmd/cmd.h"

#include "allocators/registry.h"
#include "job/contender.h"
#include "job/params.h"
#include "results/record.h"
#include "util/cli.h"
#include "util/nearest.h"
#include "util/paths.h"
#include "util/pool.h"
#include "util/say.h"
#include "workloads/registry.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_CSV = 0x100 };

struct call {
    const char *what;
    bool is_csv;
};

/* One row: for people in aligned columns, the first two `widths` wide; or as CSV. */
static void print_row(bool is_csv, const char *const *fields, const int *widths, int count)
{
    for (int i = 0; i < count; i++) {
        if (is_csv) {
            fputs(i ? "," : "", stdout);
            csv_write(stdout, fields[i]);
        } else if (i + 1 < count) {
            printf("%-*s ", widths[i], fields[i]);
        } else {
            fputs(fields[i], stdout);
        }
    }
    puts("");
}

static const char *knob_names(const struct allocator *a)
{
    struct strings names = {0};
    if (a->knob_template == NULL)
        return "";
    if (a->knobs == NULL)
        return "any";
    for (const struct allocator_knob *knob = a->knobs; knob->name != NULL; knob++)
        strings_add(&names, knob->name);
    return strings_join(&names, " ");
}

static int list_allocators(bool is_csv)
{
    static const int widths[] = {17, 10, 0};
    if (is_csv)
        puts("name,status,path,package,knobs,summary");
    for (size_t i = 0; allocators[i] != NULL; i++) {
        const struct allocator *a = allocators[i];
        const char *path = contender_installed_path(a);
        const char *package = a->package ? a->package : "";
        if (is_csv) {
            const char *fields[] = {a->name, path ? "installed" : "missing", path ? path : "", package,
                                    knob_names(a), a->summary};
            print_row(true, fields, NULL, 6);
        } else {
            const char *missing = *package ? pool_printf(" (apt-get install %s)", package) : "";
            const char *fields[] = {a->name, path ? "installed" : "missing",
                                    pool_printf("%s%s", a->summary, path ? "" : missing)};
            print_row(false, fields, widths, 3);
        }
    }
    if (!is_csv)
        puts("\nA path to any shared object works too, and NAME:KNOB=VALUE is a variant "
             "(jemalloc:narenas=1).");
    return EXIT_OK;
}

static const char *option_text(const struct workload_option *o)
{
    struct strings choices = {0};
    for (size_t i = 0; o->choices != NULL && o->choices[i] != NULL; i++)
        strings_add(&choices, o->choices[i]);
    return pool_printf("%s=%s%s%s", o->name, o->fallback ? o->fallback : "?",
                       choices.count ? " of " : "", strings_join(&choices, "|"));
}

static int list_workloads(bool is_csv)
{
    if (is_csv)
        puts("name,summary,source,work_unit,params");
    for (size_t i = 0; workloads[i] != NULL; i++) {
        const struct workload *w = workloads[i];
        struct strings options = {0};
        for (size_t o = 0; o < workload_option_count(w); o++)
            strings_add(&options, option_text(&w->options[o]));
        if (is_csv) {
            const char *fields[] = {w->name, w->summary, w->source, w->work_unit,
                                    strings_join(&options, " ")};
            print_row(true, fields, NULL, 5);
            continue;
        }
        printf("%-11s %s\n", w->name, w->summary);
        for (size_t o = 0; o < workload_option_count(w); o++)
            printf("%13s%-28s %s\n", "", options.items[o], w->options[o].help);
    }
    return EXIT_OK;
}

static int list_metrics(bool is_csv)
{
    static const int widths[] = {21, 6, 6, 0};
    if (is_csv)
        puts("name,type,unit,help");
    for (int i = 0; i < COLUMN_LAST; i++) {
        const char *fields[] = {columns[i].name, column_type_name(columns[i].type), columns[i].unit,
                                columns[i].help};
        print_row(is_csv, fields, widths, 4);
    }
    return EXIT_OK;
}

/* ---- shipped files ----------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct strings shipped(const char *directory, const char *suffix)
{
    struct strings names = {0};
    char path[PATH_MAX];
    DIR *dir = paths_shared(directory, path, sizeof path) == 0 ? opendir(path) : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, suffix) == 0)
            strings_add(&names, pool_printf("%.*s", (int)(dot - entry->d_name), entry->d_name));
    }
    if (dir != NULL)
        closedir(dir);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof names.items[0], compare_names);
    return names;
}

/* What a job file says of itself: its first line, a comment. */
static const char *job_summary(const char *path)
{
    char line[256] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return "";
    const char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (got == NULL || line[0] != ';')
        return "";
    line[strcspn(line, "\n")] = '\0';
    return pool_strdup(line + 1 + strspn(line + 1, " "));
}

static const char *trace_summary(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 ? pool_printf("%lld KiB; 'heapmark trace info' says more",
                                                (long long)(file.st_size + 1023) / 1024)
                                  : "";
}

static int list_files(bool is_csv, const char *directory, const char *suffix,
                      const char *(*summary)(const char *path))
{
    static const int widths[] = {17, 0};
    struct strings names = shipped(directory, suffix);
    if (is_csv)
        puts("name,path,summary");
    for (size_t i = 0; i < names.count; i++) {
        char path[PATH_MAX] = "";
        if (paths_shared(pool_printf("%s/%s%s", directory, names.items[i], suffix), path,
                         sizeof path) != 0)
            continue;
        const char *plain[] = {names.items[i], summary(path)};
        const char *csv[] = {names.items[i], path, summary(path)};
        print_row(is_csv, is_csv ? csv : plain, widths, is_csv ? 3 : 2);
    }
    return EXIT_OK;
}

static int list_jobs(bool is_csv)
{
    return list_files(is_csv, "jobs", ".ini", job_summary);
}

static int list_traces(bool is_csv)
{
    return list_files(is_csv, "traces", ".hmt", trace_summary);
}

/* ---- the command ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*print)(bool is_csv);
} lists[] = {{"allocators", list_allocators},
             {"workloads", list_workloads},
             {"jobs", list_jobs},
             {"metrics", list_metrics},
             {"traces", list_traces}};
enum { LISTS = sizeof lists / sizeof lists[0] };

static int parse_option(int key, char *value, struct argp_state *state)
{
    struct call *call = state->input;
    if (key == KEY_CSV)
        call->is_csv = true;
    else if (key == ARGP_KEY_ARG && call->what == NULL)
        call->what = value;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "one list at a time; '%s' is too much", value);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

int cmd_list(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"csv", KEY_CSV, NULL, 0, "one CSV row each, the name first", 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse_option,
                              .args_doc = "allocators|workloads|jobs|metrics|traces",
                              .doc = "Lists what there is."};
    struct call call = {0};
    const char *names[LISTS];
    if (cli_parse(&argp, argc, argv, &call) != 0)
        return EXIT_USAGE;
    for (int i = 0; i < LISTS; i++) {
        names[i] = lists[i].name;
        if (call.what != NULL && strcmp(call.what, lists[i].name) == 0)
            return lists[i].print(call.is_csv);
    }
    if (call.what == NULL)
        say_error("list what? one of allocators, workloads, jobs, metrics, traces");
    else
        say_error("there is no list of '%s'%s expected allocators, workloads, jobs, metrics or traces",
                  call.what, say_hint(nearest(call.what, names, LISTS)));
    return EXIT_USAGE;
}
