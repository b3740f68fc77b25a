/*
 * The running kernel's kmem events, read as text through tracefs. Each opening has a buffer of its own there
 * (an instance), so whatever else traces the machine goes on undisturbed, and the other way round. Linux 4.1 on, as
 * root; a tracefs that is mounted nowhere is mounted for this process alone.
 *
 * Source of the idea: Documentation/trace/ftrace.rst, "Instances".
 */
#ifndef HEAPMARK_TRACE_KERNEL_EVENTS_H
#define HEAPMARK_TRACE_KERNEL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum kernel_kind { KERNEL_SLAB, KERNEL_PAGES, KERNEL_KINDS };

/* Lines for the importer among the kernel's. */
#define KERNEL_NOTE             "# heapmark: "
#define KERNEL_NOTE_RECORDED_AT KERNEL_NOTE "recorded at " /* seconds since 1970 */
#define KERNEL_NOTE_ENDED_EARLY KERNEL_NOTE "ended early"

struct kernel_events;

/*
 * Makes the buffer; nothing is written into it yet. 0, or -errno with a sentence for the user in `error`. What a
 * killed process left there is removed. Not thread-safe.
 */
int kernel_events_open(struct kernel_events **events, enum kernel_kind kind, char *error,
                       size_t error_bytes);

/* What the calling thread itself does is left out from now on. Any thread. */
void kernel_events_ignore_me(struct kernel_events *events);

/*
 * The events, oldest first, as the file `trace_pipe` has them, and in front of them and behind what only heapmark
 * knows (KERNEL_NOTE lines). Reading waits for more, and comes to the end when kernel_events_stop() was called and all
 * has been read. One reader. Closed by kernel_events_close().
 */
FILE *kernel_events_file(struct kernel_events *events);

/* 0 or -errno. */
int kernel_events_start(struct kernel_events *events);
/* `early`: before the end that was asked for, which the file will say. Any thread. */
void kernel_events_stop(struct kernel_events *events, bool early);

/* Takes the buffer away. NULL: nothing. */
void kernel_events_close(struct kernel_events *events);

#endif
