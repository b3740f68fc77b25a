#include "workloads/trace/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum {
    EVENT_BYTES_MAX = 10, /* in one column: a varint of 64 bits */
    LEVEL = 2, /* 2 to 20 % more bytes than level 9 in a fifth of its time: the user waits */
};

struct column {
    unsigned char bytes[TRACE_BLOCK_BYTES_MAX / TRACE_COLUMNS];
    uint32_t used;
};

struct trace_writer {
    int fd;
    struct trace_rules rules;
    const char *reason;
    uint32_t block_events, thread, threads_seen;
    uint64_t time;
    char command[TRACE_COMMAND_BYTES_MAX];
    uint32_t command_bytes;
    ZSTD_CCtx *zstd;
    size_t packed_capacity;
    unsigned char *packed;
    struct column columns[TRACE_COLUMNS];
    unsigned char content[TRACE_BLOCK_BYTES_MAX];
};

static int write_all(int fd, const void *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        bytes = (const char *)bytes + done;
        count -= (size_t)done;
    }
    return 0;
}

/* Written empty at the start, to keep its place, and again at the end. */
static int write_header(struct trace_writer *w, struct trace_file_header *header)
{
    memcpy(header->magic, TRACE_MAGIC, sizeof header->magic);
    header->version = TRACE_VERSION;
    header->command_bytes = w->command_bytes;
    header->header_bytes = (uint32_t)(sizeof *header + w->command_bytes + sizeof(uint64_t));
    uint64_t sum = trace_fnv(TRACE_FNV_BASIS, header, sizeof *header);
    sum = trace_fnv(sum, w->command, w->command_bytes);
    int error = write_all(w->fd, header, sizeof *header);
    if (error == 0)
        error = write_all(w->fd, w->command, w->command_bytes);
    return error != 0 ? error : write_all(w->fd, &sum, sizeof sum);
}

static int prepare(struct trace_writer *w, uint32_t thread_count)
{
    w->packed_capacity = ZSTD_compressBound(sizeof w->content);
    w->packed = malloc(w->packed_capacity);
    w->zstd = ZSTD_createCCtx();
    if (w->packed == NULL || w->zstd == NULL)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    int error = trace_rules_init(&w->rules, thread_count);
    return error != 0 ? error : write_header(w, &(struct trace_file_header){0});
}

int trace_writer_open(struct trace_writer **out, int fd, uint32_t thread_count, const char *command,
                      size_t command_bytes)
{
    struct trace_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    w->fd = fd;
    w->command_bytes =
        (uint32_t)(command_bytes < sizeof w->command ? command_bytes : sizeof w->command);
    memcpy(w->command, command, w->command_bytes);
    int error = prepare(w, thread_count);
    if (error != 0)
        trace_writer_release(w);
    else
        *out = w;
    return error;
}

void trace_writer_release(struct trace_writer *w)
{
    ZSTD_freeCCtx(w->zstd);
    free(w->packed);
    trace_rules_release(&w->rules);
    free(w);
}

static void put(struct trace_writer *w, enum trace_column which, uint64_t value)
{
    struct column *column = &w->columns[which];
    while (value >= 128) {
        column->bytes[column->used++] = (unsigned char)(value | 128);
        value >>= 7;
    }
    column->bytes[column->used++] = (unsigned char)value;
}

static int flush_block(struct trace_writer *w)
{
    struct trace_block_header header = {.magic = TRACE_BLOCK_MAGIC, .events = w->block_events};
    size_t bytes = 0;
    for (int i = 0; i < TRACE_COLUMNS; i++) {
        memcpy(w->content + bytes, w->columns[i].bytes, w->columns[i].used);
        bytes += header.column_bytes[i] = w->columns[i].used;
        w->columns[i].used = 0;
    }
    if (w->block_events > 0) {
        size_t packed = ZSTD_compress2(w->zstd, w->packed, w->packed_capacity, w->content, bytes);
        if (ZSTD_isError(packed))
            return -ENOMEM;
        header.packed_bytes = (uint32_t)packed;
    }
    w->block_events = 0;
    header.checksum = trace_block_checksum(&header, w->packed);
    int error = write_all(w->fd, &header, sizeof header);
    return error != 0 ? error : write_all(w->fd, w->packed, header.packed_bytes);
}

static bool block_full(const struct trace_writer *w)
{
    if (w->block_events == TRACE_BLOCK_EVENTS_MAX)
        return true;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (w->columns[i].used + 2 * EVENT_BYTES_MAX > sizeof w->columns[i].bytes)
            return true;
    return false;
}

static void encode(struct trace_writer *w, const struct trace_event *event)
{
    bool other_thread = event->thread != w->thread;
    put(w, COLUMN_OP,
        event->op | (other_thread ? OP_OTHER_THREAD : 0) | (event->moved ? OP_MOVED : 0));
    if (other_thread)
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
    if (error == 0)
        error = flush_block(w); /* of no events: the end */
    if (error != 0)
        return error;
    facts->threads = w->threads_seen;
    facts->events = w->rules.events;
    facts->objects = w->rules.objects;
    facts->slots = w->rules.slot_count;
    facts->live_bytes_peak = w->rules.live_bytes_peak;
    facts->live_bytes_end = w->rules.live_bytes;
    facts->duration_ticks = w->rules.time;
    if (lseek(w->fd, 0, SEEK_SET) < 0)
        return -errno;
    return write_header(w, facts);
}
