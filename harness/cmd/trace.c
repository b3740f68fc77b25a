/* heapmark trace: looks at recorded traces. */
#include "cmd/cmd.h"
#include "util/nearest.h"
#include "util/say.h"
#include "workloads/trace/info.h"

#include <argp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* ---- info ------------------------------------------------------------------------------------ */

static void print_command(const struct trace_info *info)
{
    printf("command          ");
    const char *end = info->command + info->header.command_bytes;
    for (const char *at = info->command; at < end; at += strlen(at) + 1)
        printf(" %s", at);
    printf("\n");
}

static void print_origin(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    char date[32];
    time_t when = (time_t)header->recorded_at;
    struct tm local;
    if (localtime_r(&when, &local) == NULL || strftime(date, sizeof date, "%F %T", &local) == 0)
        snprintf(date, sizeof date, "unknown");
    print_command(info);
    printf("recorded          %s\n", date);
    printf("duration          %.3f s\n", (double)header->duration_ticks / (double)header->ticks_hz);
    int status = header->exit_status;
    if (WIFSIGNALED(status))
        printf("ended             by signal %d (%s)\n", WTERMSIG(status),
               sigdescr_np(WTERMSIG(status)));
    else
        printf("ended             with status %d\n", WEXITSTATUS(status));
    if (header->flags & TRACE_TRUNCATED)
        printf("note              recording stopped before the program's end\n");
    if (header->flags & TRACE_FORKED)
        printf("note              children of fork() are not in the trace\n");
    if (header->flags & TRACE_REPLACED)
        printf("note              what followed exec() is not in the trace\n");
}

static void print_events(const struct trace_info *info)
{
    static const char *const names[TRACE_OP_COUNT] = {
        [TRACE_MALLOC] = "malloc",     [TRACE_CALLOC] = "calloc", [TRACE_ALIGNED] = "aligned",
        [TRACE_REALLOC] = "realloc",   [TRACE_FREE] = "free",     [TRACE_SPAWN] = "thread starts",
        [TRACE_JOIN] = "thread joins",
    };
    printf("file              %" PRIu64 " bytes, %.2f an event\n", info->file_bytes,
           (double)info->file_bytes / (double)(info->header.events ? info->header.events : 1));
    printf("threads           %" PRIu32 "\n", info->header.threads);
    printf("events            %" PRIu64 "\n", info->header.events);
    for (int op = TRACE_MALLOC; op < TRACE_OP_COUNT; op++)
        if (info->ops[op] > 0)
            printf("  %-15s %" PRIu64 "\n", names[op], info->ops[op]);
    if (info->ops[TRACE_REALLOC] > 0)
        printf("  realloc moved   %.1f %%\n",
               100.0 * (double)info->moved / (double)info->ops[TRACE_REALLOC]);
    uint64_t ends = info->ops[TRACE_FREE] + info->ops[TRACE_REALLOC];
    printf("ended elsewhere   %.2f %% of frees and reallocs are in another thread than the "
           "allocation\n",
           100.0 * (double)info->foreign_ends / (double)(ends ? ends : 1));
}

static void print_memory(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    printf("objects           %" PRIu64 ", at most %" PRIu64 " live\n", header->objects,
           header->slots);
    printf("live bytes        %" PRIu64 " at the peak, %" PRIu64 " at the end\n",
           header->live_bytes_peak, header->live_bytes_end);
    printf("never freed       %" PRIu64 " objects\n", info->live_objects_end);
    printf("sizes             50 %% <= %" PRIu64 ", 90 %% <= %" PRIu64 ", 99 %% <= %" PRIu64
           ", largest %" PRIu64 " bytes\n",
           trace_info_size_quantile(info, 0.5), trace_info_size_quantile(info, 0.9),
           trace_info_size_quantile(info, 0.99), info->size_largest);
}

static void print_left_out(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    printf("not events        %" PRIu64 " free(NULL), %" PRIu64 " failed calls, %" PRIu64
           " frees of unknown blocks, %" PRIu64 " lost frees\n",
           header->null_frees, header->failed_calls, header->unknown_frees, header->lost_frees);
}

static int read_info(struct trace_info **info, const char *path)
{
    char error[512];
    *info = malloc(sizeof **info);
    if (*info == NULL) {
        say_error("out of memory");
        return EXIT_USAGE;
    }
    if (trace_info_read(*info, path, error, sizeof error) == 0)
        return EXIT_OK;
    say_error("%s", error);
    free(*info);
    return EXIT_USAGE;
}

static int show_info(const char *path)
{
    struct trace_info *info;
    int code = read_info(&info, path);
    if (code != EXIT_OK)
        return code;
    print_origin(info);
    print_events(info);
    print_memory(info);
    print_left_out(info);
    free(info);
    return EXIT_OK;
}

/* ---- info --csv ------------------------------------------------------------------------------ */

static void print_histogram(const char *name, const struct trace_histogram *histogram)
{
    for (unsigned i = 0; i < TRACE_BUCKETS; i++)
        if (histogram->objects[i] > 0)
            printf("%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\r\n", name,
                   trace_bucket_low(i), trace_bucket_high(i), histogram->objects[i],
                   histogram->bytes[i]);
}

static int show_csv(const char *path)
{
    struct trace_info *info;
    int code = read_info(&info, path);
    if (code != EXIT_OK)
        return code;
    printf("property,low,high,objects,bytes\r\n");
    print_histogram("size_bytes", &info->sizes);
    print_histogram("lifetime_ns", &info->lifetimes);
    if (info->live_objects_end > 0)
        printf("never_freed,,,%" PRIu64 ",%" PRIu64 "\r\n", info->live_objects_end,
               info->header.live_bytes_end);
    free(info);
    return EXIT_OK;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static int verify(const char *path)
{
    struct trace_info *info;
    int code = read_info(&info, path);
    if (code != EXIT_OK)
        return code;
    printf("'%s' is good: %" PRIu64 " events, %" PRIu32 " threads, %" PRIu64 " objects\n", path,
           info->header.events, info->header.threads, info->header.objects);
    free(info);
    return EXIT_OK;
}

/* ---- the sub-commands ------------------------------------------------------------------------ */

struct sub_command {
    const char *name;
    int (*run)(const char *path);
    int (*run_csv)(const char *path); /* NULL: has no --csv */
};

static const struct sub_command sub_commands[] = {
    {"info", show_info, show_csv},
    {"verify", verify, NULL},
};

enum { SUB_COMMANDS = sizeof sub_commands / sizeof *sub_commands };

struct request {
    const struct sub_command *sub_command;
    const char *path;
    bool is_csv;
};

static const struct sub_command *find_sub_command(const char *name, struct argp_state *state)
{
    const char *names[SUB_COMMANDS];
    for (int i = 0; i < SUB_COMMANDS; i++) {
        names[i] = sub_commands[i].name;
        if (strcmp(name, names[i]) == 0)
            return &sub_commands[i];
    }
    argp_error(state, "unknown trace command '%s'%s", name,
               say_did_you_mean(nearest(name, names, SUB_COMMANDS)));
    return NULL;
}

enum { KEY_CSV = 0x100 };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case KEY_CSV: request->is_csv = true; return 0;
    case ARGP_KEY_ARG:
        if (request->sub_command == NULL)
            request->sub_command = find_sub_command(value, state);
        else if (request->path == NULL)
            request->path = value;
        else
            argp_error(state, "one trace at a time: '%s' is too many", value);
        return 0;
    case ARGP_KEY_END:
        if (request->sub_command == NULL)
            argp_error(state, "say what to do with a trace: info or verify");
        if (request->path == NULL)
            argp_error(state, "which trace? 'heapmark list traces' shows those that are shipped");
        if (request->is_csv && request->sub_command->run_csv == NULL)
            argp_error(state, "'trace %s' has no --csv; 'trace info' has",
                       request->sub_command->name);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"csv", KEY_CSV, NULL, 0, "info: print histograms of sizes and lifetimes as CSV", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "info|verify FILE",
    .doc =
        "Look at a recorded trace.\v"
        "info     what it holds: events, threads, sizes, live bytes, where it comes from\n"
        "verify   check every rule that a replay relies on; exit status 2 with the place and the "
        "reason if one is broken",
};

int cmd_trace(int argc, char **argv)
{
    struct request request = {0};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &request);
    const struct sub_command *chosen = request.sub_command;
    return request.is_csv ? chosen->run_csv(request.path) : chosen->run(request.path);
}
