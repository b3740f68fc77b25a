/*
 * heaptrack's data, unpacked. Interpreted (heaptrack.APP.PID.zst), "a SIZE TRACE" describes a kind
 * of allocation, and "+ KIND" and "- KIND" make and free one of these: which one of several live
 * ones was freed is not said, and the youngest is taken. Raw (heaptrack -r), "+ SIZE TRACE ADDRESS"
 * and "- ADDRESS" say it. "c MS" tells the time, some hundred times a second. No threads; a realloc
 * is a free and an allocation. All numbers are hexadecimal.
 */
#include "workloads/trace/import_source.h"
#include "workloads/trace/scan.h"

#include <errno.h>
#include <stdlib.h>

enum { KINDS_MAX = 1 << 26 };

struct kind {
    uint64_t size;
    uint32_t live;
};

struct heaptrack {
    struct import_when now;
    struct kind *kinds;
    uint32_t kind_count, kind_capacity;
    bool version_known;
};

static bool begins(const char *line)
{
    uint64_t version, format;
    const char *at = line;
    return scan_text(&at, "v ") && scan_hex(&at, &version) && scan_text(&at, " ") &&
           scan_hex(&at, &format);
}

static enum line_verdict take_version(struct import *import, const char *at)
{
    struct heaptrack *h = import_state(import);
    uint64_t version, format;
    if (!scan_hex(&at, &version) || !scan_text(&at, " ") || !scan_hex(&at, &format))
        return import_skip(import, "its version is no number");
    if (format == 0 || format > 3)
        return import_skip(import, "the version of heaptrack's format is not 1 to 3");
    h->version_known = true;
    return LINE_OTHER;
}

/* The arguments stand with a blank between them. */
static enum line_verdict take_command(struct import *import, char *at)
{
    size_t bytes = strlen(at) + 1;
    for (char *c = at; *c != '\0'; c++)
        if (*c == ' ')
            *c = '\0';
    if (import_rules(import) == NULL)
        import_command(import, at, bytes);
    return LINE_OTHER;
}

static enum line_verdict take_time(struct import *import, const char *at)
{
    struct heaptrack *h = import_state(import);
    uint64_t ms;
    if (!scan_hex(&at, &ms) || !scan_end(&at) || ms > UINT64_MAX / 1000000)
        return import_skip(import, "its time is no hexadecimal number");
    h->now.time = ms * 1000000;
    return LINE_OTHER;
}

static enum line_verdict take_kind(struct import *import, const char *at)
{
    struct heaptrack *h = import_state(import);
    uint64_t size, trace;
    if (!scan_hex(&at, &size) || !scan_text(&at, " ") || !scan_hex(&at, &trace) || !scan_end(&at))
        return import_skip(import, "it has no size and trace in hexadecimal");
    if (h->kind_count == KINDS_MAX)
        return import_skip(import, "it is of one kind of allocation too many");
    if (h->kind_count == h->kind_capacity) {
        uint32_t capacity = h->kind_capacity ? 2 * h->kind_capacity : 1024;
        struct kind *kinds = realloc(h->kinds, capacity * sizeof *kinds);
        if (kinds == NULL)
            return import_fail(import, -ENOMEM);
        h->kinds = kinds;
        h->kind_capacity = capacity;
    }
    h->kinds[h->kind_count++] = (struct kind){.size = size};
    return LINE_OTHER;
}

/* No addresses are told: these are as good. Neighbours of 16 bytes are what the table expects. */
static uint64_t made_up_address(uint64_t kind, uint32_t number)
{
    return ((kind + 1) << 32 | number) << 4;
}

static enum line_verdict take_allocation(struct import *import, const char *at)
{
    struct heaptrack *h = import_state(import);
    struct trace_event event = {.op = TRACE_MALLOC};
    uint64_t first, trace, address;
    if (!scan_hex(&at, &first))
        return import_skip(import, "no hexadecimal number follows the +");
    if (*at == ' ') {
        at++;
        event.size = first;
        if (!scan_hex(&at, &trace) || !scan_text(&at, " ") || !scan_hex(&at, &address) ||
            !scan_end(&at))
            return import_skip(import, "it has no size, trace and address in hexadecimal");
        return import_allocation(import, h->now, event, address);
    }
    if (!scan_end(&at) || first >= h->kind_count)
        return import_skip(import, "it is of a kind of allocation that was not described before");
    struct kind *kind = &h->kinds[first];
    if (kind->live == UINT32_MAX >> 4)
        return import_skip(import, "too many of one kind live");
    event.size = kind->size;
    import_facts(import)->lacks |= TRACE_LACKS_IDENTITY;
    return import_allocation(import, h->now, event, made_up_address(first, kind->live++));
}

/* The raw form's addresses and the other one's kinds look the same; only the latter have kinds. */
static enum line_verdict take_free(struct import *import, const char *at)
{
    struct heaptrack *h = import_state(import);
    uint64_t value;
    if (!scan_hex(&at, &value) || !scan_end(&at))
        return import_skip(import, "no hexadecimal number follows the -");
    if (h->kind_count == 0)
        return import_free(import, h->now, value);
    if (value >= h->kind_count)
        return import_skip(import, "it is of a kind of allocation that was not described before");
    struct kind *kind = &h->kinds[value];
    if (kind->live > 0)
        kind->live--;
    return import_free(import, h->now, made_up_address(value, kind->live));
}

static enum line_verdict take(struct import *import, char *line)
{
    const struct heaptrack *h = import_state(import);
    if (line[0] == '\0' || line[0] == '#')
        return LINE_OTHER;
    if (line[1] != ' ' && line[1] != '\0')
        return import_skip(import, "it does not begin with a letter and a blank");
    char *rest = line[1] == '\0' ? line + 1 : line + 2;
    if (line[0] == 'v')
        return take_version(import, rest);
    if (!h->version_known)
        return import_skip(import, "no version of heaptrack's format stands before it");
    switch (line[0]) {
    case 'X': return take_command(import, rest);
    case 'c': return take_time(import, rest);
    case 'a': return take_kind(import, rest);
    case '+': return take_allocation(import, rest);
    case '-': return take_free(import, rest);
    default:
        if (strchr("AIRSimstx", line[0]) != NULL)
            return LINE_OTHER;
        return import_skip(import, "heaptrack's format has no such letter");
    }
}

static void release(void *state)
{
    free(((struct heaptrack *)state)->kinds);
}

const struct import_format import_heaptrack_format = {
    .name = "heaptrack",
    .description = "heaptrack's data",
    .beginning = "'v 10400 3'",
    .lacks =
        TRACE_LACKS_THREADS | TRACE_LACKS_CALLS | TRACE_LACKS_REALLOCS | TRACE_LACKS_FINE_TIMES,
    .state_bytes = sizeof(struct heaptrack),
    .begins = begins,
    .take = take,
    .release = release,
};
