#include "workloads/trace/reader.h"

#include "util/errno_text.h"
#include "workloads/trace/facts.h"
#include "workloads/trace/gather.h"
#include "workloads/trace/varint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct trace_reader {
    FILE *file;
    char name[256];
    char error[512];
    struct trace_file_header header;
    char command[TRACE_COMMAND_BYTES_MAX];
    struct trace_rules rules;
    uint64_t offset;       /* of the next byte to read */
    uint64_t block_offset; /* where the current block begins, for messages */
    uint32_t block_events; /* still to come in it */
    uint64_t block_end;    /* no event before it is later, none behind it earlier */
    uint32_t thread;
    uint64_t time;
    struct varint_span columns[TRACE_COLUMNS];
    uint64_t stack[TRACE_STACK_MAX];
    ZSTD_DCtx *zstd;
    unsigned char *packed, *content;
    size_t packed_capacity;
    struct gather *gather; /* of a recorded trace */
    bool ended;            /* the end block has been read */
};

/* ---- saying what is wrong -------------------------------------------------------------------- */

static int fail(struct trace_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(struct trace_reader *r, const char *format, ...)
{
    int used = snprintf(r->error, sizeof r->error, "'%s' ", r->name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error + used, sizeof r->error - (size_t)used, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int corrupted(struct trace_reader *r, uint64_t offset, const char *reason)
{
    return fail(r, "is corrupted at byte %" PRIu64 ": %s", offset, reason);
}

static int bad_event(struct trace_reader *r, const char *reason)
{
    return fail(r, "is corrupted at byte %" PRIu64 " (event %" PRIu64 "): %s", r->block_offset,
                r->rules.events, reason);
}

static int read_bytes(struct trace_reader *r, void *bytes, size_t count)
{
    size_t got = fread(bytes, 1, count, r->file);
    r->offset += got;
    if (got == count)
        return 0;
    if (ferror(r->file))
        return fail(r, "cannot be read at byte %" PRIu64 ": %s", r->offset, errno_text(errno));
    return fail(r, "is cut off at byte %" PRIu64 ": record it again", r->offset);
}

/* ---- the header ------------------------------------------------------------------------------ */

/* Magic and version come first: the rest may look different in another version. */
static int read_identity(struct trace_reader *r)
{
    struct trace_file_header *header = &r->header;
    size_t identity_bytes = offsetof(struct trace_file_header, header_bytes);
    size_t got = fread(header, 1, identity_bytes, r->file);
    r->offset = got;
    size_t known = got < sizeof header->magic ? got : sizeof header->magic;
    if (ferror(r->file))
        return fail(r, "cannot be read: %s", errno_text(errno));
    if (got == 0)
        return fail(r, "is empty, not a heapmark trace");
    if (memcmp(header->magic, TRACE_MAGIC, known) != 0)
        return fail(r, "is not a heapmark trace: byte 0 on should read HMT; 'heapmark record' "
                       "makes one, 'heapmark trace import' makes one of other tools' output");
    if (got < identity_bytes)
        return fail(r, "is cut off at byte %zu: record it again", got);
    if (header->version == 0)
        return corrupted(r, sizeof header->magic, "the version is 0: its recording never finished");
    if (header->version > TRACE_VERSION)
        return fail(r,
                    "was written by a newer heapmark (version %" PRIu32
                    " at byte %zu; this one reads up to %d)",
                    header->version, sizeof header->magic, TRACE_VERSION);
    return 0;
}

static bool is_recorded(const struct trace_reader *r)
{
    return (r->header.flags & TRACE_RECORDED) != 0;
}

/* What a recorded trace's events tell is not known to who writes it. */
static int check_no_totals(struct trace_reader *r)
{
    static const size_t begin = offsetof(struct trace_file_header, events),
                        end = offsetof(struct trace_file_header, failed_calls);
    for (size_t at = begin; at < end; at += sizeof(uint64_t)) {
        uint64_t total;
        memcpy(&total, (const char *)&r->header + at, sizeof total);
        if (total != 0)
            return corrupted(r, at, "it has a total, and 0 was expected in a recorded trace");
    }
    return 0;
}

/* What no writer makes. */
static int check_facts(struct trace_reader *r)
{
    const struct trace_file_header *header = &r->header;
    struct trace_fault fault;
    for (int i = 0; i < TRACE_FACTS; i++)
        if (trace_fact_is_wrong(&trace_facts[i], header, &fault))
            return corrupted(r, fault.offset, fault.text);
    if (trace_slack_is_wrong(header, &fault))
        return corrupted(r, fault.offset, fault.text);
    if (header->reserved != 0)
        return corrupted(r, offsetof(struct trace_file_header, reserved),
                         "what is reserved is in use, and 0 was expected");
    if (is_recorded(r) && header->version == 1)
        return corrupted(r, offsetof(struct trace_file_header, flags),
                         "flags has 16, a recorded trace, which version 1 knows nothing of");
    return is_recorded(r) ? check_no_totals(r) : 0;
}

static int check_header(struct trace_reader *r)
{
    const struct trace_file_header *header = &r->header;
    if (header->threads == 0 || header->threads > TRACE_THREADS_MAX)
        return corrupted(r, offsetof(struct trace_file_header, threads),
                         "the number of threads is not 1 to 65535, or it was never finished");
    if (header->ticks_hz == 0)
        return corrupted(r, offsetof(struct trace_file_header, ticks_hz), "the clock stands still");
    if (header->command_bytes > 0 && r->command[header->command_bytes - 1] != '\0')
        return corrupted(r, header->header_bytes - sizeof(uint64_t) - header->command_bytes,
                         "the command line has no end");
    return check_facts(r);
}

static int read_header(struct trace_reader *r)
{
    struct trace_file_header *header = &r->header;
    int error = read_identity(r);
    if (error != 0)
        return error;
    size_t bytes = header->version == 1 ? TRACE_HEADER_BYTES_1 : sizeof *header;
    error = read_bytes(r, (char *)header + r->offset, bytes - r->offset);
    if (error != 0)
        return error;
    if (header->command_bytes > TRACE_COMMAND_BYTES_MAX ||
        header->header_bytes != bytes + header->command_bytes + sizeof(uint64_t))
        return corrupted(r, offsetof(struct trace_file_header, header_bytes),
                         "the header's size is wrong");
    uint64_t sum;
    error = read_bytes(r, r->command, header->command_bytes);
    if (error == 0)
        error = read_bytes(r, &sum, sizeof sum);
    if (error != 0)
        return error;
    uint64_t expected = trace_fnv(TRACE_FNV_BASIS, header, bytes);
    if (sum != trace_fnv(expected, r->command, header->command_bytes))
        return corrupted(r, r->offset - sizeof sum, "the header's checksum is wrong");
    return check_header(r);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static int reserve_packed(struct trace_reader *r, uint32_t bytes)
{
    if (bytes <= r->packed_capacity)
        return 0;
    unsigned char *packed = realloc(r->packed, bytes);
    if (packed == NULL)
        return fail(r, "needs more memory than there is");
    r->packed = packed;
    r->packed_capacity = bytes;
    return 0;
}

/* Version 1 had fewer columns, and a checksum over the frame as well. */
static int read_block_header_1(struct trace_reader *r, struct trace_block_header *block)
{
    struct trace_block_header_1 old;
    int error = read_bytes(r, &old, sizeof old);
    if (error != 0)
        return error;
    *block = (struct trace_block_header){.magic = old.magic,
                                         .events = old.events,
                                         .packed_bytes = old.packed_bytes,
                                         .time_first = r->time,
                                         .time_end = UINT64_MAX,
                                         .checksum = old.checksum};
    memcpy(block->column_bytes, old.column_bytes, sizeof old.column_bytes);
    return 0;
}

static bool checksum_1_is_right(const struct trace_reader *r,
                                const struct trace_block_header *block)
{
    struct trace_block_header_1 old = {.magic = block->magic,
                                       .events = block->events,
                                       .packed_bytes = block->packed_bytes};
    memcpy(old.column_bytes, block->column_bytes, sizeof old.column_bytes);
    uint64_t sum =
        trace_fnv(TRACE_FNV_BASIS, &old, offsetof(struct trace_block_header_1, checksum));
    return trace_fnv(sum, r->packed, block->packed_bytes) == block->checksum;
}

static int check_block(struct trace_reader *r, const struct trace_block_header *block,
                       uint64_t *bytes)
{
    uint32_t events_max = is_recorded(r) ? TRACE_BLOCK_ENTRIES_MAX : TRACE_BLOCK_EVENTS_MAX;
    *bytes = 0;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        *bytes += block->column_bytes[i];
    if (block->magic != TRACE_BLOCK_MAGIC)
        return corrupted(r, r->block_offset, "no block begins here");
    if (r->header.version > 1 && block->checksum != trace_block_checksum(block))
        return corrupted(r, r->block_offset, "the block's checksum is wrong");
    if (block->events > events_max || *bytes > TRACE_BLOCK_BYTES_MAX ||
        block->packed_bytes > ZSTD_COMPRESSBOUND(TRACE_BLOCK_BYTES_MAX) ||
        (block->events == 0) != (block->packed_bytes == 0))
        return corrupted(r, r->block_offset, "the block's sizes are impossible");
    if (block->events > 0 && block->time_first > block->time_end)
        return corrupted(r, r->block_offset, "the block ends before it begins");
    if (block->events > 0 && block->time_first < r->block_end && r->header.version > 1)
        return corrupted(r, r->block_offset, "the block begins before the one before has ended");
    return 0;
}

static int unpack(struct trace_reader *r, const struct trace_block_header *block, uint64_t bytes)
{
    if (r->header.version == 1 && !checksum_1_is_right(r, block))
        return corrupted(r, r->block_offset, "the block's checksum is wrong");
    if (block->events == 0)
        return 0;
    if (r->header.version > 1 &&
        block->frame_sum != trace_frame_sum(r->packed, block->packed_bytes))
        return corrupted(r, r->block_offset + sizeof *block, "the frame's checksum is wrong");
    free(r->content);
    r->content = malloc(bytes + 1);
    if (r->content == NULL)
        return fail(r, "needs more memory than there is");
    size_t got = ZSTD_decompressDCtx(r->zstd, r->content, bytes, r->packed, block->packed_bytes);
    if (ZSTD_isError(got))
        return corrupted(r, r->block_offset + sizeof *block, ZSTD_getErrorName(got));
    if (got != bytes)
        return corrupted(r, r->block_offset, "the block's columns do not fill it");
    return 0;
}

/* What a recorded trace's block holds goes to the other threads' entries. */
static int hand_on(struct trace_reader *r, const struct trace_block_header *block)
{
    unsigned char *content = r->content;
    r->content = NULL;
    const char *reason = gather_add(r->gather, block, content);
    return reason != NULL ? corrupted(r, r->block_offset, reason) : 0;
}

static void set_columns(struct trace_reader *r, const struct trace_block_header *block)
{
    const unsigned char *at = r->content;
    for (int i = 0; i < TRACE_COLUMNS; i++) {
        r->columns[i] = (struct varint_span){at, at + block->column_bytes[i]};
        at += block->column_bytes[i];
    }
    r->block_events = block->events;
    if (r->header.version == 1)
        return; /* there, thread and time went on from block to block */
    r->time = block->time_first;
    r->thread = 0;
}

static int read_block(struct trace_reader *r)
{
    struct trace_block_header block;
    uint64_t bytes;
    r->block_offset = r->offset;
    int error = r->header.version == 1 ? read_block_header_1(r, &block)
                                       : read_bytes(r, &block, sizeof block);
    if (error == 0)
        error = check_block(r, &block, &bytes);
    if (error == 0)
        error = reserve_packed(r, block.packed_bytes);
    if (error == 0)
        error = read_bytes(r, r->packed, block.packed_bytes);
    if (error == 0)
        error = unpack(r, &block, bytes);
    if (error != 0)
        return error;
    r->ended = block.events == 0;
    if (r->ended)
        return 0;
    r->block_end = block.time_end;
    if (is_recorded(r))
        return hand_on(r, &block);
    set_columns(r, &block);
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool get(struct trace_reader *r, enum trace_column which, uint64_t *value)
{
    return varint_get(&r->columns[which], value);
}

static bool get32(struct trace_reader *r, enum trace_column which, uint32_t *value)
{
    return varint_get32(&r->columns[which], value);
}

static bool decode_stack(struct trace_reader *r, struct trace_event *event)
{
    if (!trace_allocates(event->op) || !get32(r, COLUMN_EXTRA, &event->stack_depth) ||
        event->stack_depth == 0 || event->stack_depth > TRACE_STACK_MAX)
        return false;
    event->stack = r->stack;
    for (uint32_t i = 0; i < event->stack_depth; i++)
        if (!get(r, COLUMN_EXTRA, &r->stack[i]))
            return false;
    return true;
}

static bool decode_extra(struct trace_reader *r, uint64_t byte, struct trace_event *event)
{
    event->on_new_cpu = (byte & OP_CPU) != 0;
    if (event->on_new_cpu &&
        (!get32(r, COLUMN_EXTRA, &event->cpu) || !get32(r, COLUMN_EXTRA, &event->node)))
        return false;
    return !(byte & OP_STACK) || decode_stack(r, event);
}

static bool decode(struct trace_reader *r, struct trace_event *event)
{
    uint64_t byte, delta;
    *event = (struct trace_event){.thread = r->thread};
    if (!get(r, COLUMN_OP, &byte) || !get(r, COLUMN_TIME, &delta))
        return false;
    event->op = (enum trace_op)(byte & OP_MASK);
    event->moved = (byte & OP_MOVED) != 0;
    if (byte > (OP_MASK | OP_OTHER_THREAD | OP_MOVED | OP_CPU | OP_STACK) ||
        (event->moved && event->op != TRACE_REALLOC))
        return false;
    if ((byte & OP_OTHER_THREAD) && !get32(r, COLUMN_OP, &event->thread))
        return false;
    if (__builtin_add_overflow(r->time, delta, &event->time))
        return false;
    if (trace_allocates(event->op) && !get(r, COLUMN_SIZE, &event->size))
        return false;
    if (event->op == TRACE_ALIGNED && !get32(r, COLUMN_SIZE, &event->alignment_log2))
        return false;
    if (trace_ends(event->op) && !get32(r, COLUMN_OBJECT, &event->slot))
        return false;
    if ((event->op == TRACE_SPAWN || event->op == TRACE_JOIN) &&
        !get32(r, COLUMN_OBJECT, &event->other))
        return false;
    return decode_extra(r, byte, event);
}

static int check_columns_used(struct trace_reader *r)
{
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (r->columns[i].at != r->columns[i].end)
            return corrupted(r, r->block_offset, "the block holds more than its events");
    return 0;
}

/* A recorded trace's totals are known only now. */
static void fill_totals(struct trace_reader *r)
{
    struct trace_file_header *header = &r->header;
    const struct trace_rules *rules = &r->rules;
    struct gather_counts counts = gather_counts(r->gather);
    header->events = rules->events;
    header->objects = rules->objects;
    header->slots = rules->slot_count;
    header->live_bytes_peak = rules->live_bytes_peak;
    header->live_bytes_end = rules->live_bytes;
    header->duration_ticks = rules->time;
    header->unknown_frees = counts.unknown_frees;
    header->lost_frees = counts.lost_frees;
}

/* All events have been read. */
static int check_totals(struct trace_reader *r)
{
    const struct trace_file_header *header = &r->header;
    const struct trace_rules *rules = &r->rules;
    if (getc(r->file) != EOF)
        return corrupted(r, r->offset, "something follows the end");
    if (is_recorded(r))
        fill_totals(r);
    if (rules->events != header->events || rules->objects != header->objects ||
        rules->slot_count != header->slots || rules->live_bytes_peak != header->live_bytes_peak ||
        rules->live_bytes != header->live_bytes_end || rules->time != header->duration_ticks)
        return corrupted(r, 0, "the header's totals are not those of the events");
    struct trace_fault fault;
    return trace_front_is_wrong(header, &fault) ? corrupted(r, fault.offset, fault.text) : 0;
}

static enum trace_next next_gathered(struct trace_reader *r, struct trace_event *event)
{
    const char *reason = NULL;
    enum gather_next next;
    while ((next = gather_next(r->gather, r->ended, event, &reason)) == GATHER_BLOCK) {
        if (r->ended)
            return check_totals(r) == 0 ? TRACE_END : TRACE_ERROR;
        if (read_block(r) != 0)
            return TRACE_ERROR;
    }
    if (next == GATHER_EVENT)
        return TRACE_EVENT;
    bad_event(r, reason);
    return TRACE_ERROR;
}

static enum trace_next next_ordered(struct trace_reader *r, struct trace_event *event)
{
    if (r->block_events == 0) {
        if (read_block(r) != 0)
            return TRACE_ERROR;
        if (r->ended)
            return check_totals(r) == 0 ? TRACE_END : TRACE_ERROR;
    }
    const char *reason = "it is not encoded as an event";
    if (decode(r, event))
        reason = trace_rules_apply(&r->rules, event);
    if (reason != NULL)
        return bad_event(r, reason), TRACE_ERROR;
    r->thread = event->thread;
    r->time = event->time;
    if (--r->block_events == 0 && check_columns_used(r) != 0)
        return TRACE_ERROR;
    return TRACE_EVENT;
}

enum trace_next trace_reader_next(struct trace_reader *r, struct trace_event *event)
{
    if (r->error[0] != '\0')
        return TRACE_ERROR;
    return is_recorded(r) ? next_gathered(r, event) : next_ordered(r, event);
}

/* ---- life ------------------------------------------------------------------------------------ */

const char *trace_reader_error(const struct trace_reader *r)
{
    return r->error;
}
const struct trace_file_header *trace_reader_header(const struct trace_reader *r)
{
    return &r->header;
}
const char *trace_reader_command(const struct trace_reader *r)
{
    return r->command;
}
const struct trace_rules *trace_reader_rules(const struct trace_reader *r)
{
    return &r->rules;
}

enum { PATIENCE_NS = 250 };

/* For which threads wait for one another: see gather.h. */
static uint64_t patience_ticks(const struct trace_file_header *header)
{
    uint64_t patience = header->ticks_hz / 1000000 * PATIENCE_NS / 1000;
    return patience < header->slack_ticks ? patience : header->slack_ticks;
}

static int prepare(struct trace_reader *r)
{
    int error = read_header(r);
    if (error != 0)
        return error;
    r->zstd = ZSTD_createDCtx();
    if (r->zstd == NULL || trace_rules_init(&r->rules, r->header.threads) != 0)
        return fail(r, "needs more memory than there is");
    if (is_recorded(r) && gather_open(&r->gather, &r->rules, r->header.threads,
                                      r->header.slack_ticks, patience_ticks(&r->header)) != 0)
        return fail(r, "needs more memory than there is");
    return 0;
}

int trace_reader_open_stream(struct trace_reader **out, FILE *file, const char *name, char *error,
                             size_t error_bytes)
{
    struct trace_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        fclose(file);
        snprintf(error, error_bytes, "'%s' needs more memory than there is", name);
        return -ENOMEM;
    }
    r->file = file;
    snprintf(r->name, sizeof r->name, "%s", name);
    int result = prepare(r);
    if (result != 0) {
        snprintf(error, error_bytes, "%s", r->error);
        trace_reader_close(r);
        return result;
    }
    *out = r;
    return 0;
}

int trace_reader_open(struct trace_reader **out, const char *path, char *error, size_t error_bytes)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        int result = -errno;
        snprintf(error, error_bytes, "cannot open '%s': %s%s", path, errno_text(-result),
                 result == -ENOENT ? "; 'heapmark list traces' shows those that are shipped" : "");
        return result;
    }
    return trace_reader_open_stream(out, file, path, error, error_bytes);
}

void trace_reader_close(struct trace_reader *r)
{
    fclose(r->file);
    if (r->gather != NULL)
        gather_release(r->gather);
    ZSTD_freeDCtx(r->zstd);
    free(r->packed);
    free(r->content);
    trace_rules_release(&r->rules);
    free(r);
}
