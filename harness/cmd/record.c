/* heapmark record: runs a program and writes down every call it makes to its allocator; or the kernel's. */
#include "cmd/cmd.h"
#include "cmd/record_kernel.h"
#include "cmd/record_missing.h"
#include "util/errno_text.h"
#include "util/parse.h"
#include "util/paths.h"
#include "util/say.h"
#include "util/shell.h"
#include "workloads/trace/format.h"
#include "workloads/trace/order.h"
#include "workloads/trace/recording.h"
#include "workloads/trace/target.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_MIN (UINT64_C(64) << 10)

struct request {
    const char *output;
    char **command; /* NULL-terminated */
    struct recording_options options;
    bool ordered;
    struct record_kernel_request kernel;
    const char *program_only; /* an option that --kernel does not go with; NULL: none was given */
};

/* ---- the command line ------------------------------------------------------------------------ */

enum {
    KEY_STACKS = 256,
    KEY_CPU,
    KEY_SAMPLE,
    KEY_MAX_SIZE,
    KEY_START_AFTER,
    KEY_STOP_AFTER,
    KEY_TOGGLE_SIGNAL,
    KEY_ONLY_FIRST,
    KEY_CLOCK,
    KEY_ORDERED,
    KEY_KERNEL,
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "write the trace to FILE (PROGRAM.hmt in this directory); those of the processes that the "
     "program starts go beside it, as PROGRAM.PID.hmt",
     0},
    {"only-first", KEY_ONLY_FIRST, NULL, 0,
     "do not record the processes that the program starts, nor what follows exec()", 0},
    {"stacks", KEY_STACKS, "N", 0,
     "record up to N return addresses of each allocation, 1 to 62; more than the first need a "
     "program with frame pointers",
     0},
    {"cpu", KEY_CPU, NULL, 0, "record the CPU and node of each call", 0},
    {"sample", KEY_SAMPLE, "1/N", 0,
     "record one object in N, with its allocation, reallocs and free", 0},
    {"max-size", KEY_MAX_SIZE, "BYTES", 0,
     "end the recording when all its traces together would be larger, such as 100m", 0},
    {"start-after", KEY_START_AFTER, "TIME", 0, "record only from then on, such as 10s", 0},
    {"stop-after", KEY_STOP_AFTER, "TIME", 0,
     "record only until then, counted from the program's start; frees go on being recorded, and "
     "the file grows by them",
     0},
    {"toggle-signal", KEY_TOGGLE_SIGNAL, "SIGNAL", 0,
     "stop and start again when heapmark itself gets this signal, such as USR1", 0},
    {"clock", KEY_CLOCK, "tsc|monotonic", 0,
     "where times come from (tsc where it is invariant, else monotonic, which costs more)", 0},
    {"ordered", KEY_ORDERED, NULL, 0,
     "bring the traces into the order of time at once: smaller and faster to read, later finished",
     0},
    {"kernel", KEY_KERNEL, "slab|pages", OPTION_ARG_OPTIONAL,
     "record the running kernel's own slab and page traffic, or one of them, while PROGRAM runs, "
     "or until Ctrl-C; "
     "as root. Goes with -o, --max-size and --stop-after",
     0},
    {0},
};

static uint64_t number(const char *text, uint64_t low, uint64_t high, const char *option,
                       struct argp_state *state)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < low || value > high)
        argp_error(state, "%s '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text, low,
                   high);
    return value;
}

static uint32_t parse_sample(const char *text, struct argp_state *state)
{
    if (strncmp(text, "1/", 2) != 0)
        argp_error(state, "--sample '%s' is not a share such as 1/100", text);
    return (uint32_t)number(text + 2, 1, TRACE_SAMPLE_MAX, "the N of --sample", state);
}

static uint64_t parse_time(const char *text, const char *option, struct argp_state *state)
{
    uint64_t ns = 0;
    if (parse_duration_ns(text, &ns) != 0 || ns == 0)
        argp_error(state, "%s '%s' is not a time such as 10s or 500ms", option, text);
    return ns;
}

static uint64_t parse_size(const char *text, struct argp_state *state)
{
    uint64_t bytes = 0;
    if (parse_bytes(text, &bytes) != 0 || bytes < SIZE_MIN)
        argp_error(state, "--max-size '%s' is not a size from 64k on, such as 100m", text);
    return bytes;
}

/* Those that heapmark needs itself, or cannot catch, are refused. */
static int parse_signal(const char *text, struct argp_state *state)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int signal = 1; signal < NSIG; signal++) {
        const char *known = sigabbrev_np(signal);
        if (known == NULL || strcmp(known, name) != 0)
            continue;
        if (signal == SIGUSR1 || signal == SIGUSR2 || signal == SIGWINCH || signal == SIGURG)
            return signal;
    }
    argp_error(state, "--toggle-signal '%s' is none of USR1, USR2, WINCH and URG", text);
    return 0;
}

static bool parse_clock(const char *text, struct argp_state *state)
{
    if (strcmp(text, "tsc") != 0 && strcmp(text, "monotonic") != 0)
        argp_error(state, "--clock '%s' is neither tsc nor monotonic", text);
    return strcmp(text, "monotonic") == 0;
}

static void check(const struct request *request, struct argp_state *state)
{
    const struct recording_options *wanted = &request->options;
    bool is_kernel = request->kernel.slab || request->kernel.pages;
    if (is_kernel && request->program_only != NULL)
        argp_error(state, "'--%s' is for programs, and does not go with --kernel",
                   request->program_only);
    if (!is_kernel && request->command == NULL)
        argp_error(state, "no program to record; for example: heapmark record -o ls.hmt -- ls -l");
    if (wanted->stop_after_ns != 0 && wanted->stop_after_ns <= wanted->start_after_ns)
        argp_error(state, "--stop-after comes before --start-after: nothing would be recorded");
}

static void parse_kernel(struct request *request, const char *value, struct argp_state *state)
{
    bool is_slab = value == NULL || strcmp(value, "slab") == 0;
    bool is_pages = value == NULL || strcmp(value, "pages") == 0;
    if (!is_slab && !is_pages)
        argp_error(state, "--kernel '%s' is neither slab nor pages; without a value it is both",
                   value);
    request->kernel.slab |= is_slab;
    request->kernel.pages |= is_pages;
}

static const char *name_of(int key)
{
    for (const struct argp_option *option = options; option->name != NULL; option++)
        if (option->key == key)
            return option->name;
    return NULL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;
    struct recording_options *wanted = &request->options;
    if (key >= KEY_STACKS && key < KEY_KERNEL && key != KEY_MAX_SIZE && key != KEY_STOP_AFTER)
        request->program_only = name_of(key);
    switch (key) {
    case 'o': request->output = value; return 0;
    case KEY_KERNEL: parse_kernel(request, value, state); return 0;
    case KEY_STACKS:
        wanted->stack_depth = (uint32_t)number(value, 1, RAW_STACK_MAX, "--stacks", state);
        return 0;
    case KEY_CPU: wanted->cpus = true; return 0;
    case KEY_SAMPLE: wanted->sample = parse_sample(value, state); return 0;
    case KEY_MAX_SIZE: wanted->size_max = parse_size(value, state); return 0;
    case KEY_START_AFTER:
        wanted->start_after_ns = parse_time(value, "--start-after", state);
        return 0;
    case KEY_STOP_AFTER: wanted->stop_after_ns = parse_time(value, "--stop-after", state); return 0;
    case KEY_TOGGLE_SIGNAL: wanted->toggle_signal = parse_signal(value, state); return 0;
    case KEY_ONLY_FIRST: wanted->only_first = true; return 0;
    case KEY_CLOCK: wanted->plain_clock = parse_clock(value, state); return 0;
    case KEY_ORDERED: request->ordered = true; return 0;
    case ARGP_KEY_ARG:
        request->command = &state->argv[state->next - 1];
        state->next = state->argc; /* the rest is the program's own */
        return 0;
    case ARGP_KEY_END: check(request, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[--] PROGRAM [ARGUMENT...]\n--kernel[=slab|pages] [-- PROGRAM [ARGUMENT...]]",
    .doc = "Run PROGRAM and record every call it makes to its allocator, in all of its threads and "
           "processes, from the first call to its end, whatever way it ends.\v"
           "The trace can be replayed on any allocator: heapmark run FILE. Exit status: 0 when the "
           "program ended with 0, 1 when it failed or crashed (its trace is kept), 2 when nothing "
           "could be recorded.",
};

static void default_output(const char *program, char output[PATH_MAX])
{
    const char *slash = strrchr(program, '/');
    snprintf(output, PATH_MAX, "%s.hmt", slash != NULL ? slash + 1 : program);
}

/* ---- what is said at the end ----------------------------------------------------------------- */

static void tell_note(const char *text)
{
    say_note("%s", text);
}

/* Shorter where the trace lies in this directory. */
static const char *short_path(const char *path)
{
    char here[PATH_MAX];
    size_t length = getcwd(here, sizeof here) != NULL ? strlen(here) : 0;
    return length > 1 && strncmp(path, here, length) == 0 && path[length] == '/' ? path + length + 1
                                                                                 : path;
}

/* A pause leaves frees of objects that were made before or in it: only a reader tells them apart. */
static const char *events_bound(const struct recording_trace *trace)
{
    return trace->flags & TRACE_PARTIAL ? " at most" : "";
}

/* Why the trace lacks something, apart from a limit and a failure that have words of their own. */
static void tell_end(const struct recording_trace *trace, const char *path)
{
    if (trace->ends & RAW_FORBIDDEN)
        say_note("'%s' stops before the program's end: process %u " RECORD_FORBIDS
                 ", and no disk space was left that it may use without",
                 path, trace->pid);
    else if (trace->ends & RAW_SHUT)
        say_note("'%s' stops before the program's end: process %u " RECORD_SHUTS, path, trace->pid);
    else if (trace->ends & RAW_TOO_LONG)
        say_note("'%s' stops before the program's end: the recording was as long as the process's "
                 "limits (ulimit -v) and the raw file allow",
                 path);
    else if (trace->ends & (RAW_NO_SPACE | RAW_SIZE_LIMIT | RAW_LEFT))
        say_note("'%s' stops before the program's end: its disk was full, or recording ended first",
                 path);
    if (trace->ends & RAW_MANY_THREADS)
        say_note("'%s' lacks the calls of the threads after the first %u: a trace holds no more",
                 path, RAW_THREADS_MAX);
}

static void tell_trace(const struct recording_trace *trace)
{
    const char *path = short_path(trace->path);
    if (trace->events == 0)
        say_note("'%s': no events, as all that was called failed", path);
    else
        say_note("'%s': %" PRIu64 " event%s%s, %.2f bytes an event, %" PRIu64 " KiB", path,
                 trace->events, say_plural(trace->events), events_bound(trace),
                 (double)trace->bytes / (double)trace->events, (trace->bytes + 1023) / 1024);
    if (trace->at_limit)
        say_note("'%s' ends early: --max-size was reached", path);
    else if (trace->failure != 0)
        say_note("'%s' stops before the program's end: it could not be written: %s", path,
                 errno_text(-trace->failure));
    else if (trace->flags & TRACE_TRUNCATED)
        tell_end(trace, path);
    if (trace->flags & TRACE_FORKED)
        say_note("the program forked; its children are not recorded (--only-first)");
    if (trace->flags & TRACE_REPLACED)
        say_note("'%s' ends where the process replaced itself with exec()", path);
}

/* Wrappers hand over to the program that is meant: then the first trace is not the one to run. */
static void tell_largest(const struct recording *recording)
{
    const struct recording_trace *largest = &recording->traces[0];
    for (uint32_t i = 1; i < recording->trace_count; i++)
        if (recording->traces[i].events > largest->events)
            largest = &recording->traces[i];
    if (largest != &recording->traces[0])
        say_note("the largest is '%s': heapmark run %s", short_path(largest->path),
                 shell_quote(short_path(largest->path)));
}

/* What one process meets ends the recording of all. Each trace says so, but not every process has one then. */
static void tell_limit(const struct recording *recording)
{
    bool reached = false;
    for (uint32_t i = 0; i < recording->trace_count; i++)
        reached |= (recording->traces[i].ends & (RAW_NO_SPACE | RAW_SIZE_LIMIT | RAW_LEFT)) != 0;
    if (reached && recording->without_trace > 0)
        say_note("%u process%s beside them %s no trace: recording had ended first",
                 recording->without_trace, recording->without_trace == 1 ? "" : "es",
                 recording->without_trace == 1 ? "has" : "have");
}

enum { TRACES_TOLD_MAX = 20 };

static void tell_traces(const struct recording *recording)
{
    uint32_t count = recording->trace_count;
    for (uint32_t i = 0; i < count && (i < TRACES_TOLD_MAX || count == TRACES_TOLD_MAX + 1); i++)
        tell_trace(&recording->traces[i]);
    if (count > TRACES_TOLD_MAX + 1)
        say_note("and %u more traces beside them", count - TRACES_TOLD_MAX);
    if (count > 0)
        tell_largest(recording);
    tell_limit(recording);
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

static int order_all(const struct recording *recording, char *error, size_t error_bytes)
{
    int result = 0;
    for (uint32_t i = 0; i < recording->trace_count && result == 0; i++)
        result = trace_order(recording->traces[i].path, error, error_bytes);
    return result;
}

static int record(const struct request *request, const char *path, const char *library, char *error,
                  size_t error_bytes)
{
    struct recording recording;
    bool ran = false;
    int result = recording_begin(&recording, request->output, request->command, &request->options,
                                 error, error_bytes);
    if (result == 0) {
        result = recording_run(&recording, path, request->command, library, tell_note);
        ran = result == 0;
    }
    if (ran)
        result = recording_finish(&recording);
    int code = ran ? tell_ending(recording.exit_status, request->command[0]) : EXIT_OK;
    if (result == 0)
        tell_traces(&recording);
    if (ran)
        record_tell_missing(recording.raw, recording.raw_away);
    if (result == 0 && request->ordered)
        result = order_all(&recording, error, error_bytes);
    recording_release(&recording);
    if (result == 0)
        return code;
    say_error("%s", error);
    return EXIT_USAGE;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Two that watch the same calls would see each other's. */
static const char *recorder_among(const char *libraries)
{
    static const char *const known[] = {"libhm_record", "libheaptrack_preload",
                                        "libheaptrack_inject"};
    for (size_t i = 0; libraries != NULL && i < sizeof known / sizeof *known; i++)
        if (strstr(libraries, known[i]) != NULL)
            return known[i];
    return NULL;
}

static int look_at_library(struct dl_phdr_info *info, size_t bytes, void *found)
{
    (void)bytes;
    *(const char **)found = recorder_among(info->dlpi_name);
    return *(const char **)found != NULL;
}

/* Heaptrack takes itself out of the environment when it is loaded: but this process has it, too. */
static const char *other_recorder(void)
{
    const char *found = recorder_among(getenv("LD_PRELOAD"));
    if (found == NULL)
        dl_iterate_phdr(look_at_library, &found);
    return found;
}

static int check_environment(void)
{
    if (getenv(RAW_ENV) != NULL) {
        say_error("cannot record inside a recording: this shell was started by 'heapmark record'");
        return EXIT_USAGE;
    }
    const char *other = other_recorder();
    if (other != NULL) {
        say_error("cannot record: another recorder, '%s', watches the same calls; run heapmark "
                  "without it",
                  other);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

int cmd_record(int argc, char **argv)
{
    struct request request = {0};
    char path[PATH_MAX], library[PATH_MAX], output[PATH_MAX], error[2 * PATH_MAX + 512];
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &request);
    if (request.kernel.slab || request.kernel.pages) {
        request.kernel.output = request.output;
        request.kernel.command = request.command;
        request.kernel.stop_after_ns = request.options.stop_after_ns;
        request.kernel.size_max = request.options.size_max;
        return record_kernel(&request.kernel);
    }
    if (check_environment() != EXIT_OK)
        return EXIT_USAGE;
    if (target_find(request.command[0], path, error, sizeof error) != 0) {
        say_error("%s", error);
        return EXIT_USAGE;
    }
    if (paths_library("libhm_record.so", library, sizeof library) != 0) {
        say_error(access("/proc/self/exe", F_OK) != 0
                      ? "cannot record: heapmark finds its own files by /proc, which is not there; "
                        "mount it: mount -t proc proc /proc"
                      : "cannot find 'libhm_record.so': build or install heapmark again");
        return EXIT_USAGE;
    }
    if (strpbrk(library, " :") != NULL) {
        say_error("cannot record: the recorder '%s' has a space or a colon in its path, which "
                  "LD_PRELOAD "
                  "cannot hold; install heapmark where there is none",
                  library);
        return EXIT_USAGE;
    }
    if (request.output == NULL) {
        default_output(request.command[0], output);
        request.output = output;
    }
    return record(&request, path, library, error, sizeof error);
}
