#include "workloads/trace/raw_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    const struct raw_segment *segment;
    uint32_t bytes;
};

/* A place in a stream: cheap to copy, so that one can look ahead. */
struct cursor {
    const struct piece *piece, *pieces_end;
    const struct raw_record *at, *end;
    uint64_t epoch, wide;
};

struct raw_stream {
    uint32_t index;
    uint64_t self, first_time, last_time;
    struct cursor cursor;
    struct raw_event head; /* the next event, when there is one */
    struct piece *pieces;
    uint32_t piece_count;
    bool ended;
};

/* ---- records into events --------------------------------------------------------------------- */

static void enter_piece(struct cursor *c)
{
    c->at = (const struct raw_record *)(c->piece->segment + 1);
    c->end = (const struct raw_record *)((const char *)c->piece->segment + c->piece->bytes);
}

static const struct raw_record *next_record(struct cursor *c)
{
    while (c->at == c->end) {
        if (c->piece == c->pieces_end || ++c->piece == c->pieces_end)
            return NULL;
        enter_piece(c);
    }
    return c->at++;
}

static bool next_event(struct cursor *c, struct raw_event *event)
{
    const struct raw_record *record;
    while ((record = next_record(c)) != NULL) {
        uint64_t head = atomic_load_explicit(&record->head, memory_order_relaxed);
        uint64_t payload = atomic_load_explicit(&record->payload, memory_order_relaxed);
        unsigned op = head & 255;
        if (op == RAW_EPOCH)
            c->epoch = payload;
        else if (op == RAW_WIDE_SIZE)
            c->wide = payload;
        else if (op != RAW_NONE) {
            uint64_t size = payload >> 32;
            *event = (struct raw_event){.op = op,
                                        .address = head >> 8,
                                        .size = size == RAW_WIDE ? c->wide : size,
                                        .time = c->epoch << 32 | (uint32_t)payload};
            return true;
        }
    }
    return false;
}

/*
 * What became of the realloc that has just been read. Only a signal handler's calls can stand
 * between it and its END; a realloc among them makes it unknown, which counts as failed.
 */
static uint64_t realloc_outcome(const struct raw_stream *stream)
{
    struct cursor ahead = stream->cursor;
    struct raw_event event;
    while (next_event(&ahead, &event) && event.op != RAW_REALLOC_BEGIN)
        if (event.op == RAW_REALLOC_END)
            return event.address;
    return 0;
}

static void give_back(const struct raw_streams *s, const struct piece *piece)
{
    if (s->fd < 0)
        return;
    off_t offset = (off_t)((const char *)piece->segment - s->file);
    /* Where it is refused the space comes back later, with the whole file. */
    int ignored =
        fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, piece->bytes);
    (void)ignored;
}

/* A signal handler's calls may stand a little out of order: times are made to rise. */
static void advance(const struct raw_streams *s, struct raw_stream *stream)
{
    const struct piece *before = stream->cursor.piece;
    bool more = next_event(&stream->cursor, &stream->head);
    for (; before != stream->cursor.piece; before++)
        give_back(s, before);
    if (!more) {
        stream->ended = true;
        return;
    }
    stream->head.stream = stream->index;
    if (stream->head.time < stream->last_time)
        stream->head.time = stream->last_time;
    stream->last_time = stream->head.time;
    if (stream->head.op == RAW_REALLOC_BEGIN)
        stream->head.new_address = realloc_outcome(stream);
}

/* ---- the merge: a binary heap of streams ----------------------------------------------------- */

static bool earlier(const struct raw_streams *s, uint32_t a, uint32_t b)
{
    uint64_t time_a = s->streams[a].head.time, time_b = s->streams[b].head.time;
    return time_a != time_b ? time_a < time_b : a < b;
}

static void sift_down(struct raw_streams *s, uint32_t at)
{
    uint32_t stream = s->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= s->heap_count)
            break;
        if (child + 1 < s->heap_count && earlier(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!earlier(s, s->heap[child], stream))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = stream;
}

static void sift_up(struct raw_streams *s, uint32_t at)
{
    uint32_t stream = s->heap[at];
    while (at > 0 && earlier(s, stream, s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = stream;
}

const struct raw_event *raw_streams_peek(const struct raw_streams *s)
{
    return s->heap_count > 0 ? &s->streams[s->heap[0]].head : NULL;
}

void raw_streams_pop(struct raw_streams *s)
{
    struct raw_stream *stream = &s->streams[s->heap[0]];
    advance(s, stream);
    if (stream->ended)
        s->heap[0] = s->heap[--s->heap_count];
    if (s->heap_count > 0)
        sift_down(s, 0);
}

void raw_streams_delay(struct raw_streams *s)
{
    struct raw_stream *stream = &s->streams[s->heap[0]];
    stream->head.retried = true;
    stream->head.time += s->slack_ticks;
    stream->last_time = stream->head.time;
    sift_down(s, 0);
}

bool raw_streams_ended(const struct raw_streams *s, uint32_t stream)
{
    return s->streams[stream].ended;
}

uint32_t raw_streams_started(const struct raw_streams *s, uint64_t self, uint64_t time)
{
    uint32_t best = RAW_NO_STREAM;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t first = s->streams[i].first_time;
        if (s->streams[i].self == self && first >= time &&
            (best == RAW_NO_STREAM || first < s->streams[best].first_time))
            best = i;
    }
    return best;
}

uint32_t raw_streams_joined(const struct raw_streams *s, uint64_t self, uint64_t time)
{
    uint32_t best = RAW_NO_STREAM;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t first = s->streams[i].first_time;
        if (s->streams[i].self == self && first <= time &&
            (best == RAW_NO_STREAM || first > s->streams[best].first_time))
            best = i;
    }
    return best;
}

/* ---- opening: which segments belong to which thread ------------------------------------------ */

static const struct raw_segment *segment_at(const struct raw_streams *s, uint64_t offset)
{
    const struct raw_segment *segment = (const struct raw_segment *)(s->file + offset);
    if (segment->magic != RAW_SEGMENT_MAGIC || segment->bytes < RAW_PAGE_BYTES ||
        segment->bytes % RAW_PAGE_BYTES != 0)
        return NULL;
    return segment;
}

/* The next segment at or after *offset, which is moved past it; NULL at the end. */
static const struct raw_segment *next_segment(const struct raw_streams *s, uint64_t *offset)
{
    while (*offset + RAW_PAGE_BYTES <= s->bytes) {
        const struct raw_segment *segment = segment_at(s, *offset);
        *offset += segment != NULL ? segment->bytes : RAW_PAGE_BYTES;
        if (segment != NULL)
            return segment;
    }
    return NULL;
}

static int add_piece(struct raw_streams *s, const struct raw_segment *segment)
{
    struct raw_stream *stream = &s->streams[segment->thread];
    if ((stream->piece_count & (stream->piece_count - 1)) == 0) { /* full at each power of two */
        size_t capacity = stream->piece_count ? 2 * stream->piece_count : 1;
        struct piece *pieces = realloc(stream->pieces, capacity * sizeof *pieces);
        if (pieces == NULL)
            return -ENOMEM;
        stream->pieces = pieces;
    }
    uint64_t offset = (uint64_t)((const char *)segment - s->file);
    uint64_t left = s->bytes - offset;
    stream->pieces[stream->piece_count++] =
        (struct piece){segment, segment->bytes < left ? segment->bytes : (uint32_t)left};
    stream->self = segment->self;
    s->null_frees += segment->null_frees;
    s->failed_calls += segment->failed_calls;
    return 0;
}

static int compare_pieces(const void *a, const void *b)
{
    uint32_t x = ((const struct piece *)a)->segment->sequence;
    uint32_t y = ((const struct piece *)b)->segment->sequence;
    return (x > y) - (x < y);
}

static void begin_stream(const struct raw_streams *s, uint32_t index)
{
    struct raw_stream *stream = &s->streams[index];
    stream->index = index;
    if (stream->piece_count == 0) {
        stream->ended = true;
        return;
    }
    qsort(stream->pieces, stream->piece_count, sizeof *stream->pieces, compare_pieces);
    stream->cursor = (struct cursor){.piece = stream->pieces,
                                     .pieces_end = stream->pieces + stream->piece_count};
    enter_piece(&stream->cursor);
    advance(s, stream);
    stream->first_time = stream->ended ? UINT64_MAX : stream->head.time;
}

static int collect(struct raw_streams *s)
{
    uint64_t offset = RAW_PAGE_BYTES;
    const struct raw_segment *segment;
    while ((segment = next_segment(s, &offset)) != NULL)
        if (segment->thread < s->count && add_piece(s, segment) != 0)
            return -ENOMEM;
    for (uint32_t i = 0; i < s->count; i++) {
        begin_stream(s, i);
        if (s->streams[i].ended)
            continue;
        s->heap[s->heap_count++] = i;
        sift_up(s, s->heap_count - 1);
    }
    return 0;
}

int raw_streams_open(struct raw_streams *s, const void *file, uint64_t file_bytes, int fd,
                     uint64_t slack_ticks)
{
    const struct raw_header *header = file;
    memset(s, 0, sizeof *s);
    if (file_bytes < RAW_PAGE_BYTES || header->version != RAW_VERSION ||
        memcmp(header->magic, RAW_MAGIC, sizeof header->magic) != 0)
        return -EINVAL;
    s->file = file;
    s->bytes = header->next < file_bytes ? header->next : file_bytes;
    if (header->cut != 0 && header->cut < s->bytes)
        s->bytes = header->cut;
    s->fd = fd;
    s->slack_ticks = slack_ticks;
    s->count = header->threads;
    s->streams = calloc(s->count + 1, sizeof *s->streams);
    s->heap = calloc(s->count + 1, sizeof *s->heap);
    int error = s->streams == NULL || s->heap == NULL ? -ENOMEM : collect(s);
    if (error != 0)
        raw_streams_release(s);
    return error;
}

void raw_streams_release(struct raw_streams *s)
{
    for (uint32_t i = 0; s->streams != NULL && i < s->count; i++)
        free(s->streams[i].pieces);
    free(s->streams);
    free(s->heap);
    memset(s, 0, sizeof *s);
}
