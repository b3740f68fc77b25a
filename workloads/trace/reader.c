#include "workloads/trace/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct column {
    const unsigned char *at, *end;
};

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
    uint32_t thread;
    uint64_t time;
    struct column columns[TRACE_COLUMNS];
    ZSTD_DCtx *zstd;
    unsigned char *packed, *content;
    size_t packed_capacity;
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
        return fail(r, "cannot be read at byte %" PRIu64 ": %s", r->offset, strerrordesc_np(errno));
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
        return fail(r, "cannot be read: %s", strerrordesc_np(errno));
    if (got == 0)
        return fail(r, "is empty, not a heapmark trace");
    if (memcmp(header->magic, TRACE_MAGIC, known) != 0)
        return fail(r, "is not a heapmark trace: byte 0 on should read HMT; 'heapmark record' "
                       "makes one");
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

static int check_header(struct trace_reader *r)
{
    const struct trace_file_header *header = &r->header;
    if (header->threads == 0 || header->threads > TRACE_THREADS_MAX)
        return corrupted(r, offsetof(struct trace_file_header, threads),
                         "the number of threads is not 1 to 65535");
    if (header->ticks_hz == 0)
        return corrupted(r, offsetof(struct trace_file_header, ticks_hz), "the clock stands still");
    if (header->command_bytes > 0 && r->command[header->command_bytes - 1] != '\0')
        return corrupted(r, sizeof *header, "the command line has no end");
    return 0;
}

static int read_header(struct trace_reader *r)
{
    struct trace_file_header *header = &r->header;
    int error = read_identity(r);
    if (error != 0)
        return error;
    error = read_bytes(r, (char *)header + r->offset, sizeof *header - r->offset);
    if (error != 0)
        return error;
    if (header->command_bytes > TRACE_COMMAND_BYTES_MAX ||
        header->header_bytes != sizeof *header + header->command_bytes + sizeof(uint64_t))
        return corrupted(r, offsetof(struct trace_file_header, header_bytes),
                         "the header's size is wrong");
    uint64_t sum;
    error = read_bytes(r, r->command, header->command_bytes);
    if (error == 0)
        error = read_bytes(r, &sum, sizeof sum);
    if (error != 0)
        return error;
    uint64_t expected = trace_fnv(TRACE_FNV_BASIS, header, sizeof *header);
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

static int check_block(struct trace_reader *r, const struct trace_block_header *block,
                       uint64_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        *bytes += block->column_bytes[i];
    if (block->magic != TRACE_BLOCK_MAGIC)
        return corrupted(r, r->block_offset, "no block begins here");
    if (block->events > TRACE_BLOCK_EVENTS_MAX || *bytes > TRACE_BLOCK_BYTES_MAX ||
        block->packed_bytes > ZSTD_COMPRESSBOUND(TRACE_BLOCK_BYTES_MAX) ||
        (block->events == 0) != (block->packed_bytes == 0))
        return corrupted(r, r->block_offset, "the block's sizes are impossible");
    return 0;
}

static void set_columns(struct trace_reader *r, const struct trace_block_header *block)
{
    const unsigned char *at = r->content;
    for (int i = 0; i < TRACE_COLUMNS; i++) {
        r->columns[i] = (struct column){at, at + block->column_bytes[i]};
        at += block->column_bytes[i];
    }
}

static int read_block(struct trace_reader *r)
{
    struct trace_block_header block;
    uint64_t bytes;
    r->block_offset = r->offset;
    int error = read_bytes(r, &block, sizeof block);
    if (error == 0)
        error = check_block(r, &block, &bytes);
    if (error == 0)
        error = reserve_packed(r, block.packed_bytes);
    if (error == 0)
        error = read_bytes(r, r->packed, block.packed_bytes);
    if (error != 0)
        return error;
    if (block.checksum != trace_block_checksum(&block, r->packed))
        return corrupted(r, r->block_offset, "the block's checksum is wrong");
    if (block.events == 0)
        return 0;
    size_t got = ZSTD_decompressDCtx(r->zstd, r->content, TRACE_BLOCK_BYTES_MAX, r->packed,
                                     block.packed_bytes);
    if (ZSTD_isError(got))
        return corrupted(r, r->block_offset + sizeof block, ZSTD_getErrorName(got));
    if (got != bytes)
        return corrupted(r, r->block_offset, "the block's columns do not fill it");
    set_columns(r, &block);
    r->block_events = block.events;
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool get(struct trace_reader *r, enum trace_column which, uint64_t *value)
{
    struct column *column = &r->columns[which];
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && column->at < column->end; shift += 7) {
        unsigned char byte = *column->at++;
        if (shift == 63 && byte > 1)
            return false;
        result |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = result;
            return true;
        }
    }
    return false;
}

static bool get32(struct trace_reader *r, enum trace_column which, uint32_t *value)
{
    uint64_t wide;
    if (!get(r, which, &wide) || wide > UINT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool decode(struct trace_reader *r, struct trace_event *event)
{
    uint64_t byte, delta;
    *event = (struct trace_event){.thread = r->thread};
    if (!get(r, COLUMN_OP, &byte) || !get(r, COLUMN_TIME, &delta))
        return false;
    event->op = (enum trace_op)(byte & OP_MASK);
    event->moved = (byte & OP_MOVED) != 0;
    if (byte > (OP_MASK | OP_OTHER_THREAD | OP_MOVED) ||
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
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        return get32(r, COLUMN_OBJECT, &event->other);
    return true;
}

static int check_columns_used(struct trace_reader *r)
{
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (r->columns[i].at != r->columns[i].end)
            return corrupted(r, r->block_offset, "the block holds more than its events");
    return 0;
}

/* The end block has been read. */
static int check_totals(struct trace_reader *r)
{
    const struct trace_file_header *header = &r->header;
    const struct trace_rules *rules = &r->rules;
    if (getc(r->file) != EOF)
        return corrupted(r, r->offset, "something follows the end");
    if (rules->events != header->events || rules->objects != header->objects ||
        rules->slot_count != header->slots || rules->live_bytes_peak != header->live_bytes_peak ||
        rules->live_bytes != header->live_bytes_end || rules->time != header->duration_ticks)
        return corrupted(r, 0, "the header's totals are not those of the events");
    return 0;
}

enum trace_next trace_reader_next(struct trace_reader *r, struct trace_event *event)
{
    if (r->error[0] != '\0')
        return TRACE_ERROR;
    if (r->block_events == 0) {
        if (read_block(r) != 0)
            return TRACE_ERROR;
        if (r->block_events == 0)
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

static int prepare(struct trace_reader *r)
{
    int error = read_header(r);
    if (error != 0)
        return error;
    r->zstd = ZSTD_createDCtx();
    r->content = malloc(TRACE_BLOCK_BYTES_MAX);
    if (r->zstd == NULL || r->content == NULL ||
        trace_rules_init(&r->rules, r->header.threads) != 0)
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
        snprintf(error, error_bytes, "cannot open '%s': %s", path, strerrordesc_np(-result));
        return result;
    }
    return trace_reader_open_stream(out, file, path, error, error_bytes);
}

void trace_reader_close(struct trace_reader *r)
{
    fclose(r->file);
    ZSTD_freeDCtx(r->zstd);
    free(r->packed);
    free(r->content);
    trace_rules_release(&r->rules);
    free(r);
}
