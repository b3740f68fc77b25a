/*
 * What ltrace prints, with any of -f, -t, -tt, -ttt, -r, -i and -o:
 *
 *   [pid 7] 12:00:00.000001 [0x401234] app->malloc(64) = 0x5581
 *   7 malloc(64 <unfinished ...>
 *   7 <... malloc resumed> )           = 0x5581
 *
 * Where a call of another thread comes in between, a free counts from where it begins, and all else
 * from where it ends. Of no use are posix_memalign, whose block is not printed, and what libc calls
 * itself: ltrace 0.7 takes its ways into functions that are chosen at run time for others.
 */
#include "workloads/trace/import_source.h"
#include "workloads/trace/scan.h"

#include <errno.h>
#include <stdlib.h>

enum { ARGUMENTS_MAX = 3, PENDING_MAX = 1 << 20 };

/* Times below are differences (-r); nobody has traced in 1973. */
#define RELATIVE_BELOW_NS (UINT64_C(100000000) * 1000000000u)

enum function { MALLOC, CALLOC, ALIGNED, PAGES, REALLOC, REALLOCARRAY, POSIX_MEMALIGN, FREE };

static const struct known {
    const char *name;
    enum function function;
    uint32_t arguments;
} functions[] = {
    {"malloc", MALLOC, 1},
    {"calloc", CALLOC, 2},
    {"realloc", REALLOC, 2},
    {"reallocarray", REALLOCARRAY, 3},
    {"memalign", ALIGNED, 2},
    {"aligned_alloc", ALIGNED, 2},
    {"valloc", PAGES, 1},
    {"pvalloc", PAGES, 1},
    {"posix_memalign", POSIX_MEMALIGN, 3},
    {"free", FREE, 1},
};

struct call {
    const struct known *known;
    uint64_t thread;
    uint64_t arguments[ARGUMENTS_MAX];
};

struct ltrace {
    uint64_t now; /* of the line before */
    struct call *pending;
    uint32_t pending_count, pending_capacity;
};

/* ---- the front of a line --------------------------------------------------------------------- */

static void scan_thread(const char **at, uint64_t *thread)
{
    const char *p = *at;
    *thread = 0;
    if ((scan_text(&p, "[pid ") && scan_decimal(&p, thread) && scan_text(&p, "] ")) ||
        (p = *at, scan_decimal(&p, thread) && *p == ' '))
        *at = p;
    else
        *thread = 0;
    scan_blanks(at);
}

/* "12:34:56.789", since midnight. */
static bool scan_clock(const char **at, uint64_t *ns)
{
    const char *p = *at;
    uint64_t hours, minutes, seconds = 0;
    if (!scan_decimal(&p, &hours) || hours > 23 || !scan_text(&p, ":") ||
        !scan_decimal(&p, &minutes) || minutes > 59 || !scan_text(&p, ":"))
        return false;
    if (!scan_seconds(&p, ns)) {
        if (!scan_decimal(&p, &seconds) || seconds > 60)
            return false;
        *ns = seconds * 1000000000u;
    }
    *ns += (hours * 60 + minutes) * 60 * 1000000000u;
    *at = p;
    return true;
}

static bool scan_time(const char **at, uint64_t *now)
{
    uint64_t ns;
    bool found = true;
    if (scan_clock(at, &ns))
        *now = ns;
    else if (!scan_seconds(at, &ns))
        found = false;
    else
        *now = ns < RELATIVE_BELOW_NS ? *now + ns : ns;
    scan_blanks(at);
    return found;
}

static bool scan_front(const char **at, struct import_when *when)
{
    uint64_t pointer;
    scan_blanks(at);
    scan_thread(at, &when->thread);
    bool timed = scan_time(at, &when->time);
    const char *p = *at;
    if (scan_text(&p, "[") && scan_hex(&p, &pointer) && scan_text(&p, "] "))
        *at = p;
    return timed;
}

/* ---- the call -------------------------------------------------------------------------------- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.-+>@:$~", c) != NULL);
}

/* "app->malloc(": the name of the function, and *at behind the parenthesis. */
static bool scan_name(const char **at, const char **name, size_t *length)
{
    const char *p = *at;
    *name = p;
    for (; is_name(*p); p++)
        if (p[0] == '-' && p[1] == '>')
            *name = p + 2;
    *length = *name < p ? (size_t)(p - *name) : 0;
    if (*p != '(' || *length == 0)
        return false;
    *at = p + 1;
    return true;
}

static const struct known *find_function(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strlen(functions[i].name) == length && memcmp(functions[i].name, name, length) == 0)
            return &functions[i];
    return NULL;
}

static bool scan_value(const char **at, uint64_t *value)
{
    *value = 0;
    return scan_text(at, "nil") || scan_text(at, "NULL") || scan_number(at, value);
}

/* Further ones may follow: ltrace guesses how many a function has that it does not know. */
static bool scan_arguments(const char **at, struct call *call)
{
    for (uint32_t i = 0; i < call->known->arguments; i++)
        if ((i > 0 && !scan_text(at, ", ")) || !scan_value(at, &call->arguments[i]))
            return false;
    return true;
}

/* ") = 0x5581", with anything before the parenthesis and blanks behind it. */
static bool scan_result(const char **at, uint64_t *result)
{
    const char *end = strchr(*at, ')');
    if (end == NULL)
        return false;
    end++;
    scan_blanks(&end);
    if (!scan_text(&end, "= ") ||
        !(*result = 0, scan_text(&end, "<void>") || scan_value(&end, result)))
        return false;
    *at = end;
    return true;
}

static bool begins(const char *line)
{
    struct import_when when = {0};
    const char *at = line, *name;
    size_t length;
    scan_front(&at, &when);
    return scan_name(&at, &name, &length) &&
           (strstr(at, ") ") != NULL || strstr(at, "<unfinished ...>") != NULL);
}

/* ---- what it tells --------------------------------------------------------------------------- */

static struct trace_event allocation(enum trace_op op, uint64_t size, uint64_t alignment)
{
    uint32_t log2 = alignment > 1 ? 63 - (uint32_t)__builtin_clzll(alignment) : 0;
    return (struct trace_event){.op = op, .size = size, .alignment_log2 = log2};
}

/* A count times a size that does not fit cannot have been given. */
static uint64_t product(uint64_t count, uint64_t size)
{
    uint64_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
}

/* What counts from where it begins; also of calls that another thread's line cuts in two. */
static enum line_verdict begin_call(struct import *import, struct import_when when,
                                    const struct call *call)
{
    switch (call->known->function) {
    case FREE: return import_free(import, when, call->arguments[0]);
    case REALLOC:
    case REALLOCARRAY: return import_resize_begin(import, when, call->arguments[0]);
    default: return LINE_TAKEN;
    }
}

static enum line_verdict end_call(struct import *import, struct import_when when,
                                  const struct call *call, uint64_t result)
{
    const uint64_t *arguments = call->arguments;
    switch (call->known->function) {
    case MALLOC:
        return import_allocation(import, when, allocation(TRACE_MALLOC, arguments[0], 0), result);
    case CALLOC:
        return import_allocation(import, when,
                                 allocation(TRACE_CALLOC, product(arguments[0], arguments[1]), 0),
                                 result);
    case ALIGNED:
        return import_allocation(import, when,
                                 allocation(TRACE_ALIGNED, arguments[1], arguments[0]), result);
    case PAGES:
        return import_allocation(import, when, allocation(TRACE_ALIGNED, arguments[0], 4096),
                                 result);
    case REALLOC: return import_resize_end(import, when, result, arguments[1]);
    case REALLOCARRAY:
        return import_resize_end(import, when, result, product(arguments[1], arguments[2]));
    case POSIX_MEMALIGN:
        import_skip(import, "ltrace does not print where the block is");
        return LINE_ASIDE;
    default: return LINE_TAKEN;
    }
}

static enum line_verdict suspend(struct import *import, const struct call *call)
{
    struct ltrace *l = import_state(import);
    if (l->pending_count == PENDING_MAX)
        return import_skip(import, "too many calls are unfinished");
    if (l->pending_count == l->pending_capacity) {
        uint32_t capacity = l->pending_capacity ? 2 * l->pending_capacity : 16;
        struct call *pending = realloc(l->pending, capacity * sizeof *pending);
        if (pending == NULL)
            return import_fail(import, -ENOMEM);
        l->pending = pending;
        l->pending_capacity = capacity;
    }
    l->pending[l->pending_count++] = *call;
    return LINE_TAKEN;
}

/* "<... malloc resumed> ) = 0x5581": its arguments stood in the line where it began. */
static enum line_verdict resume(struct import *import, struct import_when when, const char *at)
{
    struct ltrace *l = import_state(import);
    const char *end = strchr(at, ' ');
    uint64_t result;
    if (end == NULL || !scan_text(&end, " resumed>"))
        return import_skip(import, "it does not say which call is resumed");
    const struct known *known = find_function(at, (size_t)(end - strlen(" resumed>") - at));
    if (known == NULL)
        return LINE_OTHER;
    for (uint32_t i = l->pending_count; i-- > 0;) {
        struct call call = l->pending[i];
        if (call.thread != when.thread || call.known != known)
            continue;
        memmove(&l->pending[i], &l->pending[i + 1], (--l->pending_count - i) * sizeof *l->pending);
        if (!scan_result(&end, &result))
            return import_skip(import, "the call's result is missing");
        return end_call(import, when, &call, result);
    }
    return import_skip(import, "the line where the call began is missing");
}

static enum line_verdict take_call(struct import *import, struct import_when when, const char *at)
{
    const char *caller = at, *name;
    size_t length;
    uint64_t result;
    if (!scan_name(&at, &name, &length))
        return import_skip(import, "it is no call of a function");
    struct call call = {.known = find_function(name, length), .thread = when.thread};
    if (call.known == NULL)
        return LINE_OTHER;
    if (strncmp(caller, "libc.so", 7) == 0) {
        import_skip(import, "ltrace gives wrong names to the calls that libc makes itself");
        return LINE_ASIDE;
    }
    if (!scan_arguments(&at, &call))
        return import_skip(import, "the call's arguments are no numbers");
    bool whole = scan_result(&at, &result);
    if (!whole && strstr(at, "<unfinished ...>") == NULL)
        return strstr(at, "<no return ...>") != NULL
                   ? LINE_OTHER
                   : import_skip(import, "the call's result is missing");
    enum line_verdict verdict = begin_call(import, when, &call);
    if (verdict != LINE_TAKEN)
        return verdict;
    return whole ? end_call(import, when, &call, result) : suspend(import, &call);
}

static enum line_verdict take(struct import *import, char *line)
{
    struct ltrace *l = import_state(import);
    struct import_when when = {.time = l->now};
    const char *at = line;
    if (line[0] == '\0')
        return LINE_OTHER;
    bool timed = scan_front(&at, &when);
    l->now = when.time;
    if (scan_text(&at, "+++ ") || scan_text(&at, "--- "))
        return LINE_OTHER;
    if (!timed)
        import_facts(import)->lacks |= TRACE_LACKS_TIMES;
    enum line_verdict verdict =
        scan_text(&at, "<... ") ? resume(import, when, at) : take_call(import, when, at);
    return verdict;
}

static void release(void *state)
{
    free(((struct ltrace *)state)->pending);
}

const struct import_format import_ltrace_format = {
    .name = "ltrace",
    .description = "what ltrace prints",
    .beginning = "a call, such as 'app->malloc(64) = 0x5581'",
    .state_bytes = sizeof(struct ltrace),
    .begins = begins,
    .take = take,
    .release = release,
};
