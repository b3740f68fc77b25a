/* heapmark trace cut, export, import: traces from traces, and from and to other formats. */
#include "cmd/cmd.h"
#include "cmd/trace.h"
#include "cmd/trace_chart.h"
#include "util/cli.h"
#include "util/errno_text.h"
#include "util/nearest.h"
#include "util/parse.h"
#include "util/say.h"
#include "workloads/trace/cut.h"
#include "workloads/trace/export.h"
#include "workloads/trace/import.h"
#include "workloads/trace/whole_file.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the file that is written ---------------------------------------------------------------- */

static int cannot_write(const char *path, int error)
{
    say_error("cannot write '%s': %s", path, errno_text(-error));
    return EXIT_USAGE;
}

static const char *why_not(const struct stat *there, const struct stat *input)
{
    if (!S_ISREG(there->st_mode))
        return "it is not a regular file";
    if (input != NULL && there->st_dev == input->st_dev && there->st_ino == input->st_ino)
        return "it is the file that is read; choose another name with -o";
    return NULL;
}

bool trace_output_open(struct whole_file *output, const char *path, const struct stat *input)
{
    struct stat there;
    const char *reason = stat(path, &there) == 0 ? why_not(&there, input) : NULL;
    if (reason != NULL) {
        say_error("cannot write '%s': %s", path, reason);
        return false;
    }
    int error = whole_file_open(output, path);
    if (error != 0)
        cannot_write(path, error);
    return error == 0;
}

int trace_output_close(struct whole_file *output, int failed)
{
    if (failed != 0) {
        whole_file_drop(output);
        return EXIT_USAGE;
    }
    int error = whole_file_publish(output);
    return error != 0 ? cannot_write(output->path, error) : EXIT_OK;
}

static bool open_beside(struct whole_file *output, const char *path, const char *input_path)
{
    struct stat input;
    return trace_output_open(output, path, stat(input_path, &input) == 0 ? &input : NULL);
}

/* ---- what the three share -------------------------------------------------------------------- */

struct request {
    const char *path, *output;
    const char *format;
    struct cut_request cut;
    bool has_span;
};

static void require_paths(const struct request *request, bool output, struct argp_state *state)
{
    if (request->path == NULL)
        argp_error(state, "which file?");
    if (output && request->output == NULL)
        argp_error(state, "say with -o where the trace shall go");
}

static const char *one_of(const char *value, const char *const *names, int count,
                          const char *option, struct argp_state *state)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, names[i]) == 0)
            return names[i];
    argp_error(state, "--%s is not '%s': %s was expected%s", option, value,
               say_choices(names, (size_t)count),
               say_did_you_mean(nearest(value, names, (size_t)count)));
    return NULL;
}

enum { KEY_FORMAT = 256, KEY_FROM, KEY_TO, KEY_THREAD, KEY_STEADY };

/* ---- cut ------------------------------------------------------------------------------------- */

static uint64_t duration(const char *value, const char *option, struct argp_state *state)
{
    uint64_t ns = 0;
    if (parse_duration_ns(value, &ns) != 0)
        argp_error(state, "--%s is not '%s': a time was expected, such as 1.5s or 200ms", option,
                   value);
    return ns;
}

static int64_t thread_number(const char *value, struct argp_state *state)
{
    char *end;
    errno = 0;
    long number = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < 0 || number >= TRACE_THREADS_MAX)
        argp_error(state, "--thread is not '%s': a number from 0 was expected", value);
    return number;
}

static error_t parse_cut(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'o': request->output = value; return 0;
    case KEY_FROM:
        request->cut.from_ns = duration(value, "from", state);
        request->has_span = true;
        return 0;
    case KEY_TO:
        request->cut.to_ns = duration(value, "to", state);
        request->has_span = true;
        return 0;
    case KEY_THREAD: request->cut.thread = thread_number(value, state); return 0;
    case KEY_STEADY: request->cut.steady = true; return 0;
    case ARGP_KEY_ARG: return trace_take_path(&request->path, value, state);
    case ARGP_KEY_END:
        require_paths(request, true, state);
        if (request->cut.steady && request->has_span)
            argp_error(state, "--steady finds the times by itself: leave --from and --to out");
        if (!request->cut.steady && !request->has_span && request->cut.thread == CUT_ALL_THREADS)
            argp_error(state, "say which part: --from and --to, --thread, or --steady");
        if (request->cut.from_ns >= request->cut.to_ns)
            argp_error(state, "--to is not after --from");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void say_cut(const struct request *request, const struct cut_result *result)
{
    char from[32], to[32], bytes[32], mean[32];
    printf("'%s': %" PRIu64 " of %" PRIu64 " events, from %s to %s, of %" PRIu32 " thread%s\n",
           request->output, result->events - result->front_events, result->all_events,
           chart_time((double)result->from_ns, from), chart_time((double)result->to_ns, to),
           result->threads, say_plural(result->threads));
    if (request->cut.steady)
        printf("steady there: live bytes stay within %.1f %% of %s, over %.0f %% of the events; it "
               "is the longest stretch in which they stay within %.0f %%\n",
               100 * result->window.spread, chart_bytes(result->window.bytes_mean, mean),
               100 * (double)result->window.events / (double)result->all_events,
               100 * CUT_STEADY_SPREAD);
    if (result->front_events > 0)
        printf("in front, %" PRIu64 " event%s for the %s that lived at its start\n",
               result->front_events, say_plural(result->front_events),
               chart_bytes((double)result->front_bytes, bytes));
}

int trace_command_cut(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "write the part to FILE", 0},
        {"from", KEY_FROM, "TIME", 0, "from this time on, such as 1.5s (the trace's start)", 0},
        {"to", KEY_TO, "TIME", 0, "before this time (the trace's end)", 0},
        {"thread", KEY_THREAD, "N", 0,
         "only the objects that thread N made or ended; other threads stay as far as they have to "
         "do with these",
         0},
        {"steady", KEY_STEADY, NULL, 0, "the longest stretch in which live bytes hardly change", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse_cut,
        .args_doc = "-o FILE TRACE",
        .doc = "Cut a part out of a trace. What lives at its start is made again at its front.",
    };
    struct request request = {.cut = {.to_ns = UINT64_MAX, .thread = CUT_ALL_THREADS}};
    struct cut_result result;
    struct whole_file output;
    char error[512], found[PATH_MAX];
    if (cli_parse(&argp, argc, argv, &request) != 0)
        return EXIT_USAGE;
    const char *path = trace_find(request.path, found, sizeof found);
    if (!open_beside(&output, request.output, path))
        return EXIT_USAGE;
    int failed = trace_cut(path, &request.cut, output.fd, &result, error, sizeof error);
    if (failed != 0)
        say_error("%s", error);
    int code = trace_output_close(&output, failed);
    if (code == EXIT_OK)
        say_cut(&request, &result);
    return code;
}

/* ---- export ---------------------------------------------------------------------------------- */

static const char *const export_names[] = {[EXPORT_TEXT] = "text", [EXPORT_CSV] = "csv"};

static error_t parse_export(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'o': request->output = value; return 0;
    case KEY_FORMAT: request->format = one_of(value, export_names, 2, "format", state); return 0;
    case ARGP_KEY_ARG: return trace_take_path(&request->path, value, state);
    case ARGP_KEY_END: require_paths(request, false, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int export_to(const char *path, enum export_format format, FILE *out)
{
    char error[512];
    int failed = trace_export(path, format, out, error, sizeof error);
    if (failed != 0)
        say_error("%s", error);
    return failed;
}

static int export_to_file(const char *path, enum export_format format, const char *to)
{
    struct whole_file output;
    if (!open_beside(&output, to, path))
        return EXIT_USAGE;
    FILE *out = fdopen(dup(output.fd), "w");
    int failed = -ENOMEM;
    if (out == NULL)
        cannot_write(to, -errno);
    else
        failed = export_to(path, format, out);
    if (out != NULL && fclose(out) != 0 && failed == 0) {
        failed = -errno;
        cannot_write(to, failed);
    }
    return trace_output_close(&output, failed);
}

int trace_command_export(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "write to FILE (standard output)", 0},
        {"format", KEY_FORMAT, "text|csv", 0,
         "text: one line an event, which `import` reads again (the default); csv: one row an event",
         0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse_export,
        .args_doc = "TRACE",
        .doc = "Write a trace as text.",
    };
    struct request request = {.format = export_names[EXPORT_TEXT]};
    char found[PATH_MAX];
    if (cli_parse(&argp, argc, argv, &request) != 0)
        return EXIT_USAGE;
    enum export_format format =
        request.format == export_names[EXPORT_CSV] ? EXPORT_CSV : EXPORT_TEXT;
    const char *path = trace_find(request.path, found, sizeof found);
    if (request.output != NULL)
        return export_to_file(path, format, request.output);
    return export_to(path, format, stdout) == 0 ? EXIT_OK : EXIT_USAGE;
}

/* ---- import ---------------------------------------------------------------------------------- */

static error_t parse_import(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    const char *names[TRACE_SOURCE_COUNT - 1];
    switch (key) {
    case 'o': request->output = value; return 0;
    case KEY_FORMAT:
        for (int i = 1; i < TRACE_SOURCE_COUNT; i++)
            names[i - 1] = import_name((enum trace_source)i);
        request->format = one_of(value, names, TRACE_SOURCE_COUNT - 1, "format", state);
        return 0;
    case ARGP_KEY_ARG: return trace_take_path(&request->path, value, state);
    case ARGP_KEY_END: require_paths(request, true, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void trace_tell_import(void (*tell)(const char *format, ...), const char *path,
                       const struct import_result *result)
{
    const struct trace_file_header *header = &result->header;
    tell("'%s': %" PRIu64 " event%s from %" PRIu64 " line%s of %s", path, header->events,
         say_plural(header->events), result->lines, say_plural(result->lines),
         import_description(result->format));
    if (header->skipped_lines > 0)
        tell("%" PRIu64 " line%s could not be used; the first is line %" PRIu64 ": %s",
             header->skipped_lines, say_plural(header->skipped_lines), result->first_skipped,
             result->skip_reason);
    const struct {
        uint64_t count;
        const char *what, *then;
    } oddities[] = {
        {header->unknown_frees, "free", " of what was never seen allocated: left out"},
        {header->lost_frees, "block", " handed out again without a free: freed there"},
        {result->late_times, "time", " before the one in front: taken to be that one"},
        {result->lost, "event", " lost, as the source says itself"},
    };
    for (size_t i = 0; i < sizeof oddities / sizeof *oddities; i++)
        if (oddities[i].count > 0)
            tell("%" PRIu64 " %s%s%s", oddities[i].count, oddities[i].what,
                 say_plural(oddities[i].count), oddities[i].then);
}

static void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void print_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static int import_from(const struct request *request, FILE *in)
{
    const char *name = in == stdin ? "standard input" : request->path;
    enum trace_source source =
        request->format != NULL ? import_find(request->format) : TRACE_SOURCE_NONE;
    struct import_result result;
    struct whole_file output;
    struct stat input;
    char error[1024];
    if (!trace_output_open(&output, request->output,
                           fstat(fileno(in), &input) == 0 ? &input : NULL))
        return EXIT_USAGE;
    int failed = trace_import(in, name, source, output.fd, &result, error, sizeof error);
    if (failed != 0)
        say_error("%s", error);
    int code = trace_output_close(&output, failed);
    if (code == EXIT_OK)
        trace_tell_import(print_line, request->output, &result);
    return code;
}

int trace_command_import(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "TRACE", 0, "write the trace to TRACE", 0},
        {"format", KEY_FORMAT, "text|mtrace|heaptrack|ltrace|kmem|kmem-pages", 0,
         "what FILE is (its first line tells, but for kmem-pages)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse_import,
        .args_doc = "-o TRACE FILE",
        .doc = "Make a trace of what another tool wrote; FILE - is standard input.",
    };
    struct request request = {0};
    if (cli_parse(&argp, argc, argv, &request) != 0)
        return EXIT_USAGE;
    if (strcmp(request.path, "-") == 0)
        return import_from(&request, stdin);
    FILE *in = fopen(request.path, "rbe");
    if (in == NULL) {
        say_error("cannot open '%s': %s; FILE is what another tool wrote, and - is standard input",
                  request.path, errno_text(errno));
        return EXIT_USAGE;
    }
    int code = import_from(&request, in);
    fclose(in);
    return code;
}
