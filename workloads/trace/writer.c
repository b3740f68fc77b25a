#include "workloads/trace/writer.h"

#include "workloads/trace/block_file.h"
#include "workloads/trace/varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    STACK_BYTES_MAX = VARINT_BYTES_MAX * (TRACE_STACK_MAX + 3),
    COLUMN_BYTES = 1 << 20,
};

struct column {
    unsigned char bytes[COLUMN_BYTES];
    uint32_t used;
};

struct trace_writer {
    struct block_file file;
    struct trace_rules rules;
    const char *reason;
    uint32_t block_events, thread, threads_seen;
    uint64_t block_time, time;
    char command[TRACE_COMMAND_BYTES_MAX];
    uint32_t command_bytes;
    struct column columns[TRACE_COLUMNS];
};

int trace_writer_open(struct trace_writer **out, int fd, uint32_t thread_count, const char *command,
                      size_t command_bytes)
{
    struct trace_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    w->command_bytes =
        (uint32_t)(command_bytes < sizeof w->command ? command_bytes : sizeof w->command);
    memcpy(w->command, command, w->command_bytes);
    int error = trace_rules_init(&w->rules, thread_count);
    if (error == 0) /* no threads: a header that no reader takes for a finished one */
        error = block_file_open(&w->file, fd,
                                &(struct trace_file_header){.command_bytes = w->command_bytes},
                                w->command);
    if (error != 0)
        trace_writer_release(w);
    else
        *out = w;
    return error;
}

void trace_writer_release(struct trace_writer *w)
{
    block_file_release(&w->file);
    trace_rules_release(&w->rules);
    free(w);
}

static void put(struct trace_writer *w, enum trace_column which, uint64_t value)
{
    struct column *column = &w->columns[which];
    column->used = (uint32_t)(varint_put(column->bytes + column->used, value) - column->bytes);
}

/* Each block can be decoded without the one before: the thread and time begin anew. */
static int flush_block(struct trace_writer *w)
{
    struct trace_block_header header = {.events = w->block_events,
                                        .time_first = w->block_time,
                                        .time_end = w->time};
    int error = 0;
    for (int i = 0; i < TRACE_COLUMNS; i++) {
        if (error == 0)
            error = block_file_put(&w->file, w->columns[i].bytes, w->columns[i].used);
        header.column_bytes[i] = w->columns[i].used;
        w->columns[i].used = 0;
    }
    w->block_events = w->thread = 0;
    w->block_time = w->time;
    block_file_seal(&w->file);
    return error != 0 ? error : block_file_write(&w->file, &header, 0);
}

static bool block_full(const struct trace_writer *w)
{
    if (w->block_events == TRACE_BLOCK_EVENTS_MAX)
        return true;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (w->columns[i].used + STACK_BYTES_MAX > sizeof w->columns[i].bytes)
            return true;
    return false;
}

static unsigned flags_of(const struct trace_writer *w, const struct trace_event *event)
{
    return (event->thread != w->thread ? OP_OTHER_THREAD : 0) | (event->moved ? OP_MOVED : 0) |
           (event->on_new_cpu ? OP_CPU : 0) | (event->stack_depth > 0 ? OP_STACK : 0);
}

static void encode_extra(struct trace_writer *w, const struct trace_event *event)
{
    if (event->on_new_cpu) {
        put(w, COLUMN_EXTRA, event->cpu);
        put(w, COLUMN_EXTRA, event->node);
    }
    if (event->stack_depth > 0)
        put(w, COLUMN_EXTRA, event->stack_depth);
    for (uint32_t i = 0; i < event->stack_depth; i++)
        put(w, COLUMN_EXTRA, event->stack[i]);
}

static void encode(struct trace_writer *w, const struct trace_event *event)
{
    unsigned flags = flags_of(w, event);
    put(w, COLUMN_OP, event->op | flags);
    if (flags & OP_OTHER_THREAD)
        put(w, COLUMN_OP, event->thread);
    put(w, COLUMN_TIME, event->time - w->time);
    if (trace_allocates(event->op))
        put(w, COLUMN_SIZE, event->size);
    if (event->op == TRACE_ALIGNED)
        put(w, COLUMN_SIZE, event->alignment_log2);
    if (trace_ends(event->op))
        put(w, COLUMN_OBJECT, event->slot);
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        put(w, COLUMN_OBJECT, event->other);
    encode_extra(w, event);
    w->thread = event->thread;
    w->time = event->time;
}

static void see_thread(struct trace_writer *w, uint32_t thread)
{
    if (thread >= w->threads_seen)
        w->threads_seen = thread + 1;
}

int trace_writer_add(struct trace_writer *w, struct trace_event *event)
{
    w->reason = trace_rules_apply(&w->rules, event);
    if (w->reason != NULL)
        return -EINVAL;
    see_thread(w, event->thread);
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        see_thread(w, event->other);
    encode(w, event);
    w->block_events++;
    return block_full(w) ? flush_block(w) : 0;
}

const char *trace_writer_reason(const struct trace_writer *w)
{
    return w->reason;
}

const struct trace_rules *trace_writer_rules(const struct trace_writer *w)
{
    return &w->rules;
}

int trace_writer_finish(struct trace_writer *w, struct trace_file_header *facts)
{
    int error = w->block_events > 0 ? flush_block(w) : 0;
    if (error != 0)
        return error;
    facts->flags &= ~(uint32_t)TRACE_RECORDED;
    facts->command_bytes = w->command_bytes;
    facts->threads = w->threads_seen;
    facts->events = w->rules.events;
    facts->objects = w->rules.objects;
    facts->slots = w->rules.slot_count;
    facts->live_bytes_peak = w->rules.live_bytes_peak;
    facts->live_bytes_end = w->rules.live_bytes;
    facts->duration_ticks = w->rules.time;
    return block_file_rewrite_header(&w->file, facts, w->command);
}
