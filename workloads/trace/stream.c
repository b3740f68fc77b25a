#include "workloads/trace/stream.h"

#include "workloads/trace/event.h"
#include "workloads/trace/varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- segments -------------------------------------------------------------------------------- */

int stream_add(struct stream *s, struct raw_segment *segment, uint32_t consumed)
{
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? 2 * s->capacity : 4;
        struct piece *pieces = realloc(s->pieces, capacity * sizeof *pieces);
        if (pieces == NULL)
            return -ENOMEM;
        s->pieces = pieces;
        s->capacity = capacity;
    }
    uint32_t at = s->count++;
    for (; at > 0 && s->pieces[at - 1].segment->sequence > segment->sequence; at--)
        s->pieces[at] = s->pieces[at - 1];
    s->pieces[at] = (struct piece){.segment = segment, .consumed = consumed};
    return 0;
}

void stream_release(struct stream *s)
{
    free(s->pieces);
    for (int i = 0; i < TRACE_COLUMNS; i++)
        free(s->columns[i].bytes);
}

void stream_begin_block(struct stream *s)
{
    s->entries = s->events = 0;
    s->address = 0;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        s->columns[i].used = 0;
}

/* True when the piece is there and none before it is missing that may still come. */
static bool follows(const struct stream *s, uint32_t piece)
{
    if (piece >= s->count)
        return false;
    return s->over || s->pieces[piece].segment->sequence == s->next_sequence + (piece - s->first);
}

/*
 * The piece to read now, or NULL. A segment is not begun before the one that comes before it has
 * been seen, which the thread filled first.
 */
static struct piece *current(const struct stream *s)
{
    return follows(s, s->first) ? &s->pieces[s->first] : NULL;
}

static void next_piece(struct stream *s)
{
    s->next_sequence = s->pieces[s->first++].segment->sequence + 1;
}

void stream_end(struct stream *s)
{
    s->over = true;
    for (uint32_t p = s->first; p < s->count; p++)
        atomic_store_explicit(&s->pieces[p].segment->state, RAW_SEGMENT_FULL, memory_order_release);
}

/* ---- records --------------------------------------------------------------------------------- */

static inline bool is_there(uint64_t head, const struct raw_segment *segment)
{
    return (head >> 8 & 255) == segment->lap;
}

/*
 * A thread that has gone on to its next segment does not finish a record in this one any more: a
 * signal handler came between, which filled the rest or never returned.
 */
static bool will_never_come(const struct raw_record *record, const struct raw_segment *segment)
{
    return atomic_load_explicit(&segment->state, memory_order_acquire) == RAW_SEGMENT_FULL &&
           !is_there(atomic_load_explicit(&record->head, memory_order_acquire), segment);
}

static inline bool has_time(unsigned op)
{
    return op < RAW_EPOCH || op >= RAW_ALIGNED;
}

enum peeked { PEEKED_NOTHING, PEEKED_TIME, PEEKED_END };

static enum peeked peek_piece(const struct piece *piece, uint64_t epoch, uint64_t *time)
{
    uint32_t count = raw_record_count(piece->segment);
    for (uint32_t i = piece->at; i < count; i++) {
        struct raw_record *record = &raw_records(piece->segment)[i];
        uint64_t head = atomic_load_explicit(&record->head, memory_order_acquire);
        if (!is_there(head, piece->segment)) {
            if (will_never_come(record, piece->segment))
                continue;
            return PEEKED_NOTHING;
        }
        uint64_t payload = atomic_load_explicit(&record->payload, memory_order_relaxed);
        if ((head & 255) == RAW_EPOCH)
            epoch = payload;
        if (!has_time(head & 255))
            continue;
        *time = epoch << 32 | (uint32_t)payload;
        return PEEKED_TIME;
    }
    return PEEKED_END;
}

/* The piece to read may have been read to its end before its thread went on to the next one. */
bool stream_peek(const struct stream *s, uint64_t *time)
{
    enum peeked peeked = PEEKED_END;
    for (uint32_t p = s->first; peeked == PEEKED_END && follows(s, p); p++)
        peeked = peek_piece(&s->pieces[p], s->epoch, time);
    return peeked == PEEKED_TIME;
}

struct stream_ahead stream_ahead(const struct stream *s)
{
    return (struct stream_ahead){.piece = s->first,
                                 .at = s->first < s->count ? s->pieces[s->first].at : 0,
                                 .epoch = s->epoch};
}

static void begin_piece(struct stream_ahead *ahead)
{
    *ahead = (struct stream_ahead){.piece = ahead->piece + 1};
}

bool stream_move_ahead(const struct stream *s, struct stream_ahead *ahead, uint32_t records)
{
    for (; follows(s, ahead->piece); begin_piece(ahead)) {
        struct raw_segment *segment = s->pieces[ahead->piece].segment;
        uint32_t count = raw_record_count(segment), wanted = ahead->at + records;
        if (wanted >= count) {
            records = wanted - count;
            continue;
        }
        for (uint32_t i = ahead->at; i < count; i++) {
            struct raw_record *record = &raw_records(segment)[i];
            uint64_t head = record->head, payload = record->payload;
            if (!is_there(head, segment) && will_never_come(record, segment))
                continue;
            if (!is_there(head, segment))
                return false;
            if ((head & 255) == RAW_EPOCH)
                ahead->epoch = payload;
            if (i < wanted || !has_time(head & 255))
                continue;
            ahead->at = i;
            ahead->time = ahead->epoch << 32 | (uint32_t)payload;
            return true;
        }
        records = 0;
    }
    return false;
}

static int reserve(struct stream_column *column, size_t more)
{
    if (column->capacity - column->used >= more)
        return 0;
    size_t capacity = (column->used + more) * 3 / 2;
    unsigned char *bytes = realloc(column->bytes, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    column->bytes = bytes;
    column->capacity = capacity;
    return 0;
}

/* Room for as many records, whatever they are. */
static int reserve_all(struct stream *s, size_t records)
{
    static const size_t most[TRACE_COLUMNS] = {[COLUMN_OP] = 2,
                                               [COLUMN_TIME] = VARINT_BYTES_MAX,
                                               [COLUMN_SIZE] = VARINT_BYTES_MAX + 1,
                                               [COLUMN_OBJECT] = VARINT_BYTES_MAX + 1,
                                               [COLUMN_EXTRA] = 0};
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (reserve(&s->columns[i], records * most[i]) != 0)
            return -ENOMEM;
    return 0;
}

static int put_extra(struct stream *s, uint64_t value)
{
    struct stream_column *column = &s->columns[COLUMN_EXTRA];
    if (reserve(column, VARINT_BYTES_MAX) != 0)
        return -ENOMEM;
    column->used = (size_t)(varint_put(column->bytes + column->used, value) - column->bytes);
    return 0;
}

static int put_stack(struct stream *s)
{
    int error = put_extra(s, s->stack_depth);
    for (uint32_t i = 0; i < s->stack_depth && error == 0; i++)
        error = put_extra(s, s->stack[i]);
    s->stack_depth = 0;
    return error;
}

/* CPU and stack, as they were announced: the flags for the op byte, or -ENOMEM. */
static int describe(struct stream *s, bool allocates)
{
    int flags = 0, error = 0;
    if (s->new_cpu) {
        flags |= OP_CPU;
        error = put_extra(s, (uint32_t)s->cpu);
        if (error == 0)
            error = put_extra(s, s->cpu >> 32);
        s->new_cpu = false;
    }
    if (s->stack_depth > 0 && allocates && error == 0) {
        flags |= OP_STACK;
        error = put_stack(s);
    }
    return error != 0 ? error : flags;
}

static void push_return_address(struct stream *s, uint64_t address)
{
    if (address != 0 && s->stack_depth < TRACE_STACK_MAX)
        s->stack[s->stack_depth++] = address;
}

/* The records that are no events. */
static void note(struct stream *s, unsigned op, uint64_t address, uint64_t payload)
{
    switch (op) {
    case RAW_EPOCH: s->epoch = payload; break;
    case RAW_WIDE_SIZE: s->wide = payload; break;
    case RAW_CPU:
        s->cpu = payload;
        s->new_cpu = true;
        break;
    case RAW_STACK:
        push_return_address(s, address);
        push_return_address(s, payload);
        break;
    default: break;
    }
}

/* The trace's op for a raw one. */
static unsigned op_of(unsigned raw, uint64_t address)
{
    switch (raw) {
    case RAW_MALLOC: return TRACE_MALLOC;
    case RAW_CALLOC: return TRACE_CALLOC;
    case RAW_FREE: return TRACE_FREE;
    case RAW_REALLOC_BEGIN: return RECORDED_REALLOC_BEGIN;
    case RAW_REALLOC_END: return address != 0 ? TRACE_REALLOC : RECORDED_REALLOC_FAILED;
    case RAW_JOIN: return TRACE_JOIN;
    default: return TRACE_ALIGNED;
    }
}

/* The trace's op for the raw ones that nearly all records have. */
static const unsigned char trace_op[] = {[RAW_MALLOC] = TRACE_MALLOC,
                                         [RAW_CALLOC] = TRACE_CALLOC,
                                         [RAW_FREE] = TRACE_FREE,
                                         [RAW_REALLOC_BEGIN] = RECORDED_REALLOC_BEGIN,
                                         [RAW_REALLOC_END] = TRACE_REALLOC};

/* Where the columns that simple records go to end. */
struct tails {
    unsigned char *op, *time, *size, *object;
};

static struct tails tails_of(const struct stream *s)
{
    const struct stream_column *columns = s->columns;
    return (struct tails){.op = columns[COLUMN_OP].bytes + columns[COLUMN_OP].used,
                          .time = columns[COLUMN_TIME].bytes + columns[COLUMN_TIME].used,
                          .size = columns[COLUMN_SIZE].bytes + columns[COLUMN_SIZE].used,
                          .object = columns[COLUMN_OBJECT].bytes + columns[COLUMN_OBJECT].used};
}

static void keep_tails(struct stream *s, const struct tails *t)
{
    struct stream_column *columns = s->columns;
    columns[COLUMN_OP].used = (size_t)(t->op - columns[COLUMN_OP].bytes);
    columns[COLUMN_TIME].used = (size_t)(t->time - columns[COLUMN_TIME].bytes);
    columns[COLUMN_SIZE].used = (size_t)(t->size - columns[COLUMN_SIZE].bytes);
    columns[COLUMN_OBJECT].used = (size_t)(t->object - columns[COLUMN_OBJECT].bytes);
}

struct reading {
    struct stream *stream;
    const struct stream_clock *clock;
    uint64_t end;
    stream_find_joined *find_joined;
    void *context;
};

static uint64_t tick(const struct reading *r, uint64_t time)
{
    if (time < r->clock->base_ticks)
        return 0;
    return (time - r->clock->base_ticks) >> r->clock->time_shift;
}

/* A late record's time may lie before the block: it is taken at its beginning. */
static void put_time(const struct reading *r, uint64_t time)
{
    struct stream *s = r->stream;
    struct stream_column *column = &s->columns[COLUMN_TIME];
    uint64_t now = tick(r, time);
    if (s->entries == 0)
        s->time = r->clock->time_first;
    if (now < s->time)
        now = s->time;
    column->used =
        (size_t)(varint_put(column->bytes + column->used, now - s->time) - column->bytes);
    s->time = now;
}

/* The difference to the address before in this thread, in units of 16 bytes; then the odd rest. */
static unsigned put_address(struct stream *s, uint64_t address)
{
    struct stream_column *column = &s->columns[COLUMN_OBJECT];
    unsigned char *at = column->bytes + column->used;
    at = varint_put(at, trace_zigzag((int64_t)(address >> 4) - (int64_t)(s->address >> 4)));
    s->address = address;
    if (address & 15)
        *at++ = address & 15;
    column->used = (size_t)(at - column->bytes);
    return address & 15 ? OP_ODD_ADDRESS : 0;
}

static void put_number(struct stream *s, enum trace_column which, uint64_t value)
{
    struct stream_column *column = &s->columns[which];
    column->used = (size_t)(varint_put(column->bytes + column->used, value) - column->bytes);
}

static int put_join(const struct reading *r, uint64_t self, uint64_t time)
{
    uint32_t joined = r->find_joined(r->context, self, time);
    if (joined == RAW_NOBODY || joined == r->stream->thread)
        return 0;
    put_time(r, time);
    put_number(r->stream, COLUMN_OP, TRACE_JOIN);
    put_number(r->stream, COLUMN_OBJECT, joined);
    r->stream->entries++;
    r->stream->events++;
    return 0;
}

static int put_event(const struct reading *r, unsigned raw, uint64_t address, uint64_t payload,
                     uint64_t time)
{
    struct stream *s = r->stream;
    unsigned op = op_of(raw, address);
    bool allocates = op <= TRACE_REALLOC;
    if (raw == RAW_JOIN)
        return put_join(r, address, time);
    put_time(r, time);
    int flags = s->new_cpu || s->stack_depth > 0 ? describe(s, allocates) : 0;
    if (flags < 0)
        return flags;
    if (op != RECORDED_REALLOC_FAILED)
        flags |= (int)put_address(s, address);
    if (allocates) {
        uint64_t size = payload >> 32;
        put_number(s, COLUMN_SIZE, size == RAW_WIDE ? s->wide : size);
    }
    if (op == TRACE_ALIGNED)
        put_number(s, COLUMN_SIZE, raw - RAW_ALIGNED);
    put_number(s, COLUMN_OP, op | (unsigned)flags);
    s->entries++;
    s->events += op != RECORDED_REALLOC_BEGIN && op != RECORDED_REALLOC_FAILED;
    return 0;
}

/*
 * After a drain that died: what stands in the trace already still tells the epoch and the like, and
 * what comes last describes the next event.
 */
static void skip_consumed(struct stream *s, struct piece *piece)
{
    struct raw_segment *segment = piece->segment;
    uint32_t count = raw_record_count(segment);
    for (; piece->at < piece->consumed && piece->at < count; piece->at++) {
        uint64_t head = raw_records(segment)[piece->at].head;
        if (!is_there(head, segment))
            continue;
        if (!has_time(head & 255)) {
            note(s, head & 255, head >> 16, raw_records(segment)[piece->at].payload);
            continue;
        }
        s->stack_depth = 0;
        s->new_cpu = false;
    }
}

/* Of a record's op, its lap taken off: is it there, and one of those that nearly all are? */
static inline bool is_simple(unsigned kind)
{
    return kind - RAW_MALLOC <= RAW_REALLOC_END - RAW_MALLOC;
}

/*
 * Simple records one after the other, as long as they come: all that they change is kept in registers.
 * Returns where the first other one is, or the first at `end` or later.
 */
static uint32_t read_simple(const struct reading *r, const struct raw_segment *segment, uint32_t at)
{
    struct stream *s = r->stream;
    const struct raw_record *records = raw_records((struct raw_segment *)segment);
    const uint32_t count = raw_record_count(segment), begin = at;
    const unsigned lap = segment->lap << 8;
    const uint64_t epoch = s->epoch << 32, end = r->end;
    struct tails t = tails_of(s);
    uint64_t time = s->time, address = s->address;
    uint32_t events = 0;
    for (; at < count; at++) {
        uint64_t head = atomic_load_explicit(&records[at].head, memory_order_acquire);
        uint64_t payload = atomic_load_explicit(&records[at].payload, memory_order_relaxed);
        unsigned kind = (head & 0xffff) ^ lap;
        uint64_t now = epoch | (uint32_t)payload, to = head >> 16, size = payload >> 32;
        if (!is_simple(kind) || now >= end || size == RAW_WIDE || to == 0)
            break;
        now = tick(r, now);
        now = now < time ? time : now;
        t.time = varint_put(t.time, now - time);
        time = now;
        t.object = varint_put(t.object, trace_zigzag((int64_t)(to >> 4) - (int64_t)(address >> 4)));
        address = to;
        unsigned odd = to & 15, op = trace_op[kind];
        *t.op++ = (unsigned char)(op | (odd != 0 ? OP_ODD_ADDRESS : 0));
        *t.object = (unsigned char)odd;
        t.object += odd != 0;
        if (op <= TRACE_REALLOC)
            t.size = varint_put(t.size, size);
        events += op != RECORDED_REALLOC_BEGIN;
    }
    keep_tails(s, &t);
    s->time = time;
    s->address = address;
    s->entries += at - begin;
    s->events += events;
    return at;
}

/* The records of one segment, up to `end`. 1: there may be more behind it; 0: not now; -ENOMEM. */
static int read_piece(const struct reading *r, struct piece *piece)
{
    struct stream *s = r->stream;
    struct raw_segment *segment = piece->segment;
    const uint64_t lap = segment->lap;
    uint32_t count = raw_record_count(segment), at = piece->at;
    int result = 1;
    if (s->entries == 0)
        s->time = r->clock->time_first;
    for (; at < count; at++) {
        if (!s->new_cpu && s->stack_depth == 0)
            at = read_simple(r, segment, at);
        if (at == count)
            break;
        struct raw_record *record = &raw_records(segment)[at];
        uint64_t head = atomic_load_explicit(&record->head, memory_order_acquire);
        uint64_t payload = atomic_load_explicit(&record->payload, memory_order_relaxed);
        unsigned op = head & 255;
        if ((head >> 8 & 255) != lap) {
            if (will_never_come(record, segment))
                continue;
            result = 0;
            break;
        }
        if (!has_time(op)) {
            note(s, op, head >> 16, payload);
            continue;
        }
        uint64_t time = s->epoch << 32 | (uint32_t)payload;
        if (time >= r->end) {
            result = 0;
            break;
        }
        int error = put_event(r, op, head >> 16, payload, time);
        if (error != 0)
            return error;
    }
    piece->at = at;
    return result;
}

int stream_read(struct stream *s, const struct stream_clock *clock, uint64_t end,
                stream_find_joined *find_joined, void *context)
{
    struct reading reading = {s, clock, end, find_joined, context};
    struct piece *piece;
    while ((piece = current(s)) != NULL) {
        if (piece->at < piece->consumed)
            skip_consumed(s, piece);
        if (reserve_all(s, raw_record_count(piece->segment) - piece->at) != 0)
            return -ENOMEM;
        int more = read_piece(&reading, piece);
        if (more <= 0)
            return more;
        /* its thread still looks at a full segment until it has taken the next one */
        if (atomic_load_explicit(&piece->segment->state, memory_order_acquire) != RAW_SEGMENT_FULL)
            return 0;
        next_piece(s);
    }
    return 0;
}
