/* heapmark trace info, verify, recover: what a trace holds, and whether it is sound. */
#include "cmd/cmd.h"
#include "cmd/record_missing.h"
#include "cmd/trace.h"
#include "util/cli.h"
#include "util/nearest.h"
#include "util/say.h"
#include "workloads/trace/reader.h"
#include "workloads/trace/recording.h"

#include <argp.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    const char *path;
    bool is_csv;
    const char *table; /* of CSV */
};

static void require_path(const struct request *request, struct argp_state *state)
{
    if (request->path == NULL)
        argp_error(state, "which trace? 'heapmark list traces' shows those that are shipped");
}

/* ---- info ------------------------------------------------------------------------------------ */

static const char *find_table(const char *name, struct argp_state *state)
{
    for (int i = 0; i < TRACE_TABLES; i++)
        if (strcmp(name, trace_table_names[i]) == 0)
            return name;
    argp_error(state, "there is no table '%s': %s was expected%s", name,
               say_choices(trace_table_names, TRACE_TABLES),
               say_did_you_mean(nearest(name, trace_table_names, TRACE_TABLES)));
    return NULL;
}

enum { KEY_CSV = 256, KEY_FORMAT, KEY_TABLE };

static error_t parse_info(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case KEY_CSV:
        request->is_csv = true;
        request->table = "histograms";
        return 0;
    case KEY_FORMAT:
        if (strcmp(value, "text") != 0 && strcmp(value, "csv") != 0)
            argp_error(state, "--format is not '%s': text or csv was expected", value);
        request->is_csv = strcmp(value, "csv") == 0;
        return 0;
    case KEY_TABLE: request->table = find_table(value, state); return 0;
    case ARGP_KEY_ARG: return trace_take_path(&request->path, value, state);
    case ARGP_KEY_END:
        require_path(request, state);
        if (request->table != NULL && !request->is_csv)
            argp_error(state, "--table is for --format=csv");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int show(const struct request *request, struct trace_info *info)
{
    struct trace_details details = {0};
    char error[512], found[PATH_MAX];
    const char *path = trace_find(request->path, found, sizeof found);
    int failed = trace_info_read_details(info, &details, path, error, sizeof error);
    struct trace_report report = {info, &details, NULL};
    if (failed == 0)
        report.symbols = symbols_open(path, info->header.recorded_at);
    if (failed != 0)
        say_error("%s", error);
    else if (request->is_csv)
        trace_print_table(request->table != NULL ? request->table : "summary", &report);
    else
        trace_print_text(&report);
    symbols_close(report.symbols);
    trace_details_release(&details);
    return failed == 0 ? EXIT_OK : EXIT_USAGE;
}

int trace_command_info(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"format", KEY_FORMAT, "text|csv", 0, "for people (the default), or RFC 4180", 0},
        {"table", KEY_TABLE, "NAME", 0,
         "of CSV: summary (the default), ops, histograms, sizes, lifetimes, leaks, live, threads "
         "or sites",
         0},
        {"csv", KEY_CSV, NULL, 0, "the same as --format=csv --table=histograms", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse_info,
        .args_doc = "TRACE",
        .doc = "Show what a trace holds. It is read once, in a stream; memory grows with the "
               "objects that live at one time.",
    };
    struct request request = {0};
    if (cli_parse(&argp, argc, argv, &request) != 0)
        return EXIT_USAGE;
    struct trace_info *info = malloc(sizeof *info);
    if (info == NULL) {
        say_error("out of memory");
        return EXIT_USAGE;
    }
    int code = show(&request, info);
    free(info);
    return code;
}

/* ---- verify and recover ---------------------------------------------------------------------- */

static error_t parse_path(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case ARGP_KEY_ARG: return trace_take_path(&request->path, value, state);
    case ARGP_KEY_END: require_path(request, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* A command with a file and no options: `run` does it. */
static int run_on_path(int argc, char **argv, const char *arguments, const char *help,
                       int (*run)(const char *path))
{
    const struct argp argp = {.parser = parse_path, .args_doc = arguments, .doc = help};
    struct request request = {0};
    return cli_parse(&argp, argc, argv, &request) == 0 ? run(request.path) : EXIT_USAGE;
}

static int verify(const char *name)
{
    struct trace_reader *reader;
    struct trace_event event;
    enum trace_next next;
    char error[512], found[PATH_MAX];
    const char *path = trace_find(name, found, sizeof found);
    if (trace_reader_open(&reader, path, error, sizeof error) != 0) {
        say_error("%s", error);
        return EXIT_USAGE;
    }
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        continue;
    const struct trace_file_header *header = trace_reader_header(reader);
    if (next == TRACE_END)
        printf("'%s' is good: %" PRIu64 " event%s, %" PRIu32 " thread%s, %" PRIu64 " object%s\n",
               path, header->events, say_plural(header->events), header->threads,
               say_plural(header->threads), header->objects, say_plural(header->objects));
    else
        say_error("%s", trace_reader_error(reader));
    trace_reader_close(reader);
    return next == TRACE_END ? EXIT_OK : EXIT_USAGE;
}

int trace_command_verify(int argc, char **argv)
{
    return run_on_path(argc, argv, "TRACE",
                       "Check every rule that a replay relies on. Exit status 2, the place and "
                       "the reason if one is broken.",
                       verify);
}

static int recover(const char *path)
{
    struct recording recording;
    char error[2 * PATH_MAX + 512];
    int result = recording_recover(&recording, path, error, sizeof error);
    for (uint32_t i = 0; i < recording.trace_count; i++)
        printf("'%s': %" PRIu64 " event%s\n", recording.traces[i].path, recording.traces[i].events,
               say_plural(recording.traces[i].events));
    if (recording.raw != NULL && recording.trace_count > 0)
        record_tell_missing(recording.raw, recording.raw_away);
    recording_release(&recording);
    if (result == 0)
        return EXIT_OK;
    say_error("%s", error);
    return EXIT_USAGE;
}

int trace_command_recover(int argc, char **argv)
{
    return run_on_path(argc, argv, "FILE",
                       "Finish the traces of a recording that was killed; FILE is the '.raw' one "
                       "that it left.",
                       recover);
}
