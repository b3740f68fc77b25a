/* heapmark list: what there is. For people, as CSV, or as a Markdown table (docs/ is made so). */
#include "cmd/cmd.h"

#include "allocators/registry.h"
#include "job/contender.h"
#include "job/knob.h"
#include "job/options.h"
#include "job/params.h"
#include "results/side.h"
#include "util/cli.h"
#include "util/nearest.h"
#include "util/paths.h"
#include "util/pool.h"
#include "util/say.h"
#include "workloads/trace/reader.h"
#include "workloads/registry.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_CSV = 0x100, KEY_MARKDOWN };
enum format { FOR_PEOPLE, AS_CSV, AS_MARKDOWN };

struct call {
    const char *what;
    enum format format;
};

static void print_csv(const char *const *fields, int count)
{
    for (int i = 0; i < count; i++) {
        fputs(i ? "," : "", stdout);
        csv_write(stdout, fields[i]);
    }
    puts("");
}

static void print_markdown(const char *const *fields, int count)
{
    for (int i = 0; i < count; i++) {
        fputs("| ", stdout);
        for (const char *c = fields[i]; *c; c++)
            printf("%s%c", *c == '|' ? "\\" : "", *c);
        fputc(' ', stdout);
    }
    puts("|");
}

/* The names of the columns: nothing for people, who see what is what. */
static void print_header(enum format format, const char *const *names, int count)
{
    if (format == AS_CSV)
        print_csv(names, count);
    if (format != AS_MARKDOWN)
        return;
    print_markdown(names, count);
    for (int i = 0; i < count; i++)
        fputs("| --- ", stdout);
    puts("|");
}

/* A row; for people the columns are `widths` wide. */
static void print_row(enum format format, const char *const *fields, const int *widths, int count)
{
    if (format == AS_CSV)
        print_csv(fields, count);
    else if (format == AS_MARKDOWN)
        print_markdown(fields, count);
    else
        for (int i = 0; i < count; i++)
            printf("%-*s%s", i + 1 < count ? widths[i] : 0, fields[i], i + 1 < count ? " " : "\n");
}

/* The knobs with their values: "sheaves=0..1; percpu=auto|rseq|thread". */
static const char *knob_ranges(const struct allocator *a)
{
    struct strings knobs = {0};
    for (const struct allocator_knob *knob = a->knobs; knob != NULL && knob->name != NULL; knob++)
        strings_add(&knobs, pool_printf("%s=%s", knob->name, knob_values(knob)));
    return strings_join(&knobs, "; ");
}

static int list_allocators(enum format format)
{
    static const int widths[] = {17, 10};
    static const char *const names[] = {"name", "status", "path", "package", "knobs", "summary"};
    print_header(format, names, 6);
    for (size_t i = 0; allocators[i] != NULL; i++) {
        const struct allocator *a = allocators[i];
        const char *path = contender_installed_path(a), *package = a->package ? a->package : "";
        const char *status = path ? "installed" : "missing";
        const char *remedy = *package && !path ? pool_printf(" (apt-get install %s)", package) : "";
        const char *all[] = {a->name, status,         path ? path : "",
                             package, knob_ranges(a), a->summary};
        const char *few[] = {a->name, status, pool_printf("%s%s", a->summary, remedy)};
        if (format == FOR_PEOPLE)
            print_row(format, few, widths, 3);
        else
            print_row(format, all, NULL, 6);
    }
    if (format == FOR_PEOPLE)
        puts("\nA path to any shared object works too, and NAME:KNOB=VALUE is a variant "
             "(jemalloc:narenas=1);\n'heapmark list knobs' shows each one's knobs.");
    return EXIT_OK;
}

static int list_knobs(enum format format)
{
    static const int widths[] = {34, 31};
    static const char *const names[] = {"knob", "values", "help"};
    print_header(format, names, 3);
    for (size_t i = 0; allocators[i] != NULL; i++)
        for (const struct allocator_knob *k = allocators[i]->knobs; k && k->name; k++) {
            const char *fields[] = {pool_printf("%s:%s", allocators[i]->name, k->name),
                                    knob_values(k), k->help};
            print_row(format, fields, widths, 3);
        }
    if (format == FOR_PEOPLE)
        puts("\nNAME:KNOB=VALUE makes a variant. '*' is any other name and text any value; a size "
             "may end in\nk, m or g.");
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

static void print_workload(enum format format, const struct workload *w)
{
    struct strings options = {0};
    for (size_t o = 0; o < workload_option_count(w); o++)
        strings_add(&options, option_text(&w->options[o]));
    if (format != FOR_PEOPLE) {
        const char *fields[] = {w->name, w->summary, w->source, w->work_unit,
                                strings_join(&options, " ")};
        print_row(format, fields, NULL, 5);
        return;
    }
    printf("%-19s %s\n", w->name, w->summary);
    for (size_t o = 0; o < options.count; o++)
        printf("%21s%-35s %s\n", "", options.items[o], w->options[o].help);
}

static int list_workloads(enum format format)
{
    static const char *const names[] = {"name", "summary", "source", "work_unit", "params"};
    print_header(format, names, 5);
    for (size_t i = 0; workloads[i] != NULL; i++)
        print_workload(format, workloads[i]);
    return EXIT_OK;
}

static void print_columns(enum format format, const struct column_info *info, size_t count)
{
    static const int widths[] = {21, 6, 6};
    static const char *const names[] = {"name", "type", "unit", "help"};
    print_header(format, names, 4);
    for (size_t i = 0; i < count; i++) {
        const char *fields[] = {info[i].name, column_type_name(info[i].type), info[i].unit,
                                info[i].help};
        print_row(format, fields, widths, 4);
    }
}

/* As CSV trials.csv alone: one list has one header. */
static int list_metrics(enum format format)
{
    print_columns(format, columns, COLUMN_LAST);
    for (int i = 0; i < SIDE_COUNT && format != AS_CSV; i++) {
        const struct side_info *file = &side_files[i];
        printf(format == AS_MARKDOWN ? "\n## %s\n\n%s\n\n" : "\n%s: %s\n\n", file->name,
               file->help);
        print_columns(format, file->columns, file->column_count);
    }
    return EXIT_OK;
}

static int list_options(enum format format)
{
    static const int widths[] = {13, 11, 9, 8};
    static const char *const scopes[] = {"section", "global", "command line"};
    static const char *const names[] = {"name", "value", "default", "where", "help"};
    print_header(format, names, 5);
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct run_option *o = &run_options[i];
        const char *fields[] = {o->name, o->argument ? o->argument : "",
                                o->fallback ? o->fallback : "", scopes[o->scope], o->help};
        print_row(format, fields, widths, 5);
    }
    return EXIT_OK;
}

/* ---- shipped files --------------------------------------------------------------------------- */

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

/* What was recorded; a trace that nobody put into order says less until it is read. */
static const char *trace_summary(const char *path)
{
    struct trace_reader *reader;
    struct stat file;
    char error[PATH_MAX + 512];
    if (stat(path, &file) != 0 || trace_reader_open(&reader, path, error, sizeof error) != 0)
        return "";
    const struct trace_file_header *header = trace_reader_header(reader);
    const char *program = header->command_bytes > 0 ? trace_reader_command(reader) : "";
    const char *slash = strrchr(program, '/');
    const char *events =
        header->events == 0
            ? ""
            : pool_printf(", %llu event%s of %u thread%s", (unsigned long long)header->events,
                          say_plural(header->events), header->threads, say_plural(header->threads));
    const char *summary = pool_printf("%s%s, %lld KiB", slash != NULL ? slash + 1 : program, events,
                                      (long long)(file.st_size + 1023) / 1024);
    trace_reader_close(reader);
    return summary;
}

static int list_files(enum format format, const char *directory, const char *suffix,
                      const char *(*summary)(const char *path))
{
    static const int widths[] = {17};
    static const char *const header[] = {"name", "path", "summary"};
    struct strings names = paths_shipped(directory, suffix);
    print_header(format, header, 3);
    for (size_t i = 0; i < names.count; i++) {
        char path[PATH_MAX] = "";
        if (paths_shared(pool_printf("%s/%s%s", directory, names.items[i], suffix), path,
                         sizeof path) != 0)
            continue;
        const char *few[] = {names.items[i], summary(path)};
        const char *all[] = {names.items[i], path, summary(path)};
        if (format == FOR_PEOPLE)
            print_row(format, few, widths, 2);
        else
            print_row(format, all, NULL, 3);
    }
    return EXIT_OK;
}

static int list_jobs(enum format format)
{
    return list_files(format, "jobs", ".ini", job_summary);
}

static int list_traces(enum format format)
{
    return list_files(format, "traces", ".hmt", trace_summary);
}

/* ---- the command ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*print)(enum format format);
} lists[] = {{"allocators", list_allocators},
             {"workloads", list_workloads},
             {"jobs", list_jobs},
             {"metrics", list_metrics},
             {"traces", list_traces},
             {"options", list_options},
             {"knobs", list_knobs}};
enum { LISTS = sizeof lists / sizeof lists[0] };

static int parse_option(int key, char *value, struct argp_state *state)
{
    struct call *call = state->input;
    if (key == KEY_CSV)
        call->format = AS_CSV;
    else if (key == KEY_MARKDOWN)
        call->format = AS_MARKDOWN;
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
    static const struct argp_option options[] = {{"csv", KEY_CSV, NULL, 0,
                                                  "one CSV row each, the name first", 0},
                                                 {"markdown", KEY_MARKDOWN, NULL, 0,
                                                  "a Markdown table", 0},
                                                 {0}};
    const struct argp argp = {.options = options,
                              .parser = parse_option,
                              .args_doc = "allocators|workloads|jobs|metrics|traces|options|knobs",
                              .doc = "Lists what there is."};
    struct call call = {0};
    const char *names[LISTS];
    if (cli_parse(&argp, argc, argv, &call) != 0)
        return EXIT_USAGE;
    for (int i = 0; i < LISTS; i++) {
        names[i] = lists[i].name;
        if (call.what != NULL && strcmp(call.what, lists[i].name) == 0)
            return lists[i].print(call.format);
    }
    if (call.what == NULL)
        say_error("list what? one of allocators, workloads, jobs, metrics, traces, options, knobs");
    else
        say_error("there is no list of '%s'%s expected allocators, workloads, jobs, metrics, "
                  "traces, options or knobs",
                  call.what, say_hint(nearest(call.what, names, LISTS)));
    return EXIT_USAGE;
}
