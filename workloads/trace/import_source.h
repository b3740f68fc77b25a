/*
 * Between trace_import() and the formats that it reads: a format hands over each line's calls, by
 * address; which objects those are, and what is wrong with them, is found out in one place.
 */
#ifndef HEAPMARK_TRACE_IMPORT_SOURCE_H
#define HEAPMARK_TRACE_IMPORT_SOURCE_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

struct import;

enum line_verdict {
    LINE_FAILED = -1, /* memory or the disk is full: import_fail() has said so */
    LINE_TAKEN,
    LINE_OTHER,   /* belongs into such files, but tells of no call */
    LINE_SKIPPED, /* damaged: import_skip() has said why */
    LINE_ASIDE,   /* sound, but of no use: import_skip() has said why */
};

struct import_format {
    const char *name, *description;
    const char *beginning; /* how such a file begins, for messages */
    uint32_t lacks;
    bool strict; /* a line that cannot be used ends the import */
    size_t state_bytes;
    bool (*begins)(const char *line); /* could this be the first line? */
    enum line_verdict (*take)(struct import *import, char *line);
    enum line_verdict (*finish)(struct import *import); /* after the last line; NULL: nothing */
    void (*release)(void *state);                       /* NULL: nothing */
};

extern const struct import_format import_text_format, import_mtrace_format, import_heaptrack_format,
    import_ltrace_format, import_kmem_format, import_kmem_pages_format;

/* The format's own, zeroed at first. */
void *import_state(struct import *import);
struct trace_file_header *import_facts(struct import *import);
const struct trace_rules *import_rules(const struct import *import);

/* The number of the line that is being taken. */
uint64_t import_line(const struct import *import);

/*
 * The command line, arguments each ended by a 0 byte; before the first event. One that is too long
 * is not whole: the program alone.
 */
void import_command(struct import *import, const char *arguments, size_t bytes);

/*
 * One event by itself, with thread numbers and slots as in the trace. LINE_SKIPPED when it breaks a
 * rule.
 */
enum line_verdict import_event(struct import *import, struct trace_event *event);

/* When and in which of the source's threads, by whatever number it has there. */
struct import_when {
    uint64_t thread;
    uint64_t time; /* ns since anything; the first event's is taken off */
};

/*
 * An allocation: `event` has the op, size and alignment. Address 0: it failed. When the address
 * still lives, its free was missed, and is counted as lost.
 */
enum line_verdict import_allocation(struct import *import, struct import_when when,
                                    struct trace_event event, uint64_t address);

/* Address 0: free(NULL). One that does not live is counted as unknown. */
enum line_verdict import_free(struct import *import, struct import_when when, uint64_t address);

/*
 * A realloc in two steps, between which other threads may get the old address. Without the first
 * the second is a malloc. New address 0 and a size: it failed.
 */
enum line_verdict import_resize_begin(struct import *import, struct import_when when,
                                      uint64_t address);
enum line_verdict import_resize_end(struct import *import, struct import_when when,
                                    uint64_t address, uint64_t size);

/* Why a line cannot be used, in words that follow "line 7: ". Returns LINE_SKIPPED. */
enum line_verdict import_skip(struct import *import, const char *reason);
enum line_verdict import_fail(struct import *import, int error);
void import_lost(struct import *import, uint64_t events);

#endif
