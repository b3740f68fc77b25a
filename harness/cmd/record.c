/* heapmark record: runs a program and writes down every call it makes to its allocator. */
#include "cmd/cmd.h"
#include "util/paths.h"
#include "util/say.h"
#include "workloads/trace/recording.h"
#include "workloads/trace/target.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_AFTER_SECONDS = 5 };

struct request {
    const char *output;
    char **command; /* NULL-terminated */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'o': request->output = value; return 0;
    case ARGP_KEY_ARG:
        request->command = &state->argv[state->next - 1];
        state->next = state->argc; /* the rest is the program's own */
        return 0;
    case ARGP_KEY_END:
        if (request->command == NULL)
            argp_error(state,
                       "no program to record; for example: heapmark record -o ls.hmt -- ls -l");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "write the trace to FILE (PROGRAM.hmt in this directory)", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[--] PROGRAM [ARGUMENT...]",
    .doc =
        "Run PROGRAM and record every call it makes to its allocator, in all of its threads, from "
        "the first call to its end, whatever way it ends.\v"
        "The trace can be replayed on any allocator: heapmark run FILE. Exit status: 0 when the "
        "program ended with 0, 1 when it failed or crashed (its trace is kept), 2 when nothing "
        "could be recorded.",
};

static void default_output(const char *program, char output[PATH_MAX])
{
    const char *slash = strrchr(program, '/');
    snprintf(output, PATH_MAX, "%s.hmt", slash != NULL ? slash + 1 : program);
}

static void show_progress(uint64_t events)
{
    static time_t first, last;
    time_t now = time(NULL);
    if (first == 0)
        first = now;
    if (now - first < PROGRESS_AFTER_SECONDS || now == last)
        return;
    last = now;
    say_note("writing the trace: %" PRIu64 " million events so far", events / 1000000);
}

static void tell_result(const struct trace_file_header *header, uint64_t bytes, const char *output)
{
    say_note("'%s': %" PRIu64 " events, %u thread%s, %" PRIu64 " objects, %.2f bytes an event, "
             "%" PRIu64 " KiB",
             output, header->events, header->threads, header->threads == 1 ? "" : "s",
             header->objects, (double)bytes / (double)header->events, (bytes + 1023) / 1024);
    if (header->flags & TRACE_TRUNCATED)
        say_note("the trace stops before the program's end: its disk was full");
    if (header->flags & TRACE_FORKED)
        say_note("the program forked; its children are not in the trace");
    if (header->flags & TRACE_REPLACED)
        say_note("the program replaced itself with exec(); what came after is not in the trace");
}

/* The program's own end, as an exit code of ours. */
static int tell_ending(int status, const char *program)
{
    if (WIFSIGNALED(status)) {
        say_error("'%s' was ended by signal %d (%s)", program, WTERMSIG(status),
                  sigdescr_np(WTERMSIG(status)));
        return EXIT_FAILED;
    }
    if (WEXITSTATUS(status) == 0)
        return EXIT_OK;
    say_error("'%s' ended with status %d", program, WEXITSTATUS(status));
    return EXIT_FAILED;
}

static int record(const struct request *request, const char *path, const char *library, char *error,
                  size_t error_bytes)
{
    struct recording recording;
    struct trace_file_header header;
    uint64_t bytes;
    bool ran = false;
    int result = recording_begin(&recording, request->output, error, error_bytes);
    if (result == 0) {
        result = recording_run(&recording, path, request->command, library);
        ran = result == 0;
    }
    if (result == 0)
        result = recording_finish(&recording, request->command, &header, &bytes, show_progress);
    recording_release(&recording);
    int code = ran ? tell_ending(recording.exit_status, request->command[0]) : EXIT_OK;
    if (result == 0) {
        tell_result(&header, bytes, request->output);
        return code;
    }
    say_error("%s", error);
    return EXIT_USAGE;
}

int cmd_record(int argc, char **argv)
{
    struct request request = {0};
    char path[PATH_MAX], library[PATH_MAX], output[PATH_MAX], error[PATH_MAX + 512];
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &request);
    if (getenv(RAW_ENV) != NULL) {
        say_error("cannot record inside a recording: this shell was started by 'heapmark record'");
        return EXIT_USAGE;
    }
    if (target_find(request.command[0], path, error, sizeof error) != 0) {
        say_error("%s", error);
        return EXIT_USAGE;
    }
    if (paths_library("libhm_record.so", library, sizeof library) != 0) {
        say_error("cannot find 'libhm_record.so': build or install heapmark again");
        return EXIT_USAGE;
    }
    if (request.output == NULL) {
        default_output(request.command[0], output);
        request.output = output;
    }
    return record(&request, path, library, error, sizeof error);
}
