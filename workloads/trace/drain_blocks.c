#include "workloads/trace/drain_blocks.h"
#include "workloads/trace/commit.h"
#include "workloads/trace/drain_command.h"
#include "workloads/trace/recording_space.h"
#include "workloads/trace/varint.h"

#include <errno.h>
#include <unistd.h>

static int put_number(struct source *source, uint64_t value)
{
    unsigned char bytes[VARINT_BYTES_MAX];
    return block_file_put(&source->file, bytes, (size_t)(varint_put(bytes, value) - bytes));
}

/* Whose events follow: the thread, the one that started it when it comes first, how many, and
 * their bytes in each of the other columns. */
static int put_runs(struct source *source)
{
    int error = 0;
    for (uint32_t i = 0; i < source->stream_count && error == 0; i++) {
        struct stream *stream = &source->streams[i];
        if (stream->entries == 0)
            continue;
        bool first = !stream->announced;
        error = put_number(source, (uint64_t)stream->thread << 1 | first);
        if (first && error == 0)
            error = put_number(source, (uint32_t)(stream->parent + 1));
        if (error == 0)
            error = put_number(source, stream->entries);
        for (int column = 0; column < TRACE_COLUMNS && error == 0; column++)
            if (column != COLUMN_RUN)
                error = put_number(source, stream->columns[column].used);
    }
    return error;
}

static int put_columns(struct source *source, struct trace_block_header *header)
{
    int error = 0;
    for (int column = 0; column < TRACE_COLUMNS && error == 0; column++) {
        size_t before = source->file.content.used;
        if (column == COLUMN_RUN)
            error = put_runs(source);
        for (uint32_t i = 0; i < source->stream_count && error == 0; i++)
            error = block_file_put(&source->file, source->streams[i].columns[column].bytes,
                                   source->streams[i].columns[column].used);
        header->column_bytes[column] = (uint32_t)(source->file.content.used - before);
    }
    return error;
}

/* What the streams have read by now is what the block holds. */
static void note_places(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *s = &source->streams[i];
        s->sealed = (struct place){s->first, s->first < s->count ? s->pieces[s->first].at : 0,
                                   s->joined_at != UINT64_MAX};
    }
}

/* What the block holds of a thread. More may have been read since. */
static void mark(struct source *source, const struct stream *s)
{
    uint32_t flags = (s->met_at != UINT64_MAX ? RAW_MET : 0) | (s->sealed.joined ? RAW_JOINED : 0);
    for (uint32_t p = 0; p < s->sealed.first; p++) {
        struct raw_segment *segment = s->pieces[p].segment;
        source->written.null_frees += segment->null_frees;
        source->written.failed_calls += segment->failed_calls;
        commit_prepare(source->process, segment, RAW_CONSUMED, flags);
    }
    if (s->sealed.first == s->count)
        return;
    const struct piece *rest = &s->pieces[s->sealed.first];
    uint32_t at = s->sealed.at > rest->consumed ? s->sealed.at : rest->consumed;
    commit_prepare(source->process, rest->segment, at, flags);
}

/*
 * In the raw file: what the block came from is not needed any more, and another drain would go on from
 * here.
 */
static void commit(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++)
        mark(source, &source->streams[i]);
    commit_make(source->process, &source->written);
}

/*
 * A process that is over keeps its segments, until its trace is whole: they tell another drain of threads
 * that are still to be joined.
 */
static void give_back(const struct drain *d, struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *s = &source->streams[i];
        uint32_t given = s->sealed.first;
        for (uint32_t p = 0; p < given && !source->over; p++)
            if (s->pieces[p].segment->state != RAW_SEGMENT_GONE)
                raw_give(d->header, s->pieces[p].segment);
        for (uint32_t p = given; p < s->count; p++)
            s->pieces[p - given] = s->pieces[p];
        s->first -= given;
        s->count -= given;
        s->sealed.first = 0;
    }
}

int drain_blocks_open(struct drain *d, struct source *source)
{
    struct raw_process *process = source->process;
    if (source->open)
        return 0;
    uint32_t index = (uint32_t)(process - raw_process(d->header, 0));
    uint64_t bytes = commit_tally(process)->bytes;
    bool again = bytes != 0;
    int fd = d->hooks.file(d->hooks.context, index, again);
    if (fd < 0)
        return fd;
    struct command command = drain_command(d, source);
    struct trace_file_header header = {.flags = TRACE_RECORDED | TRACE_TRUNCATED,
                                       .threads = 1,
                                       .ticks_hz = 1,
                                       .command_bytes = command.bytes};
    int error = again ? block_file_reopen(&source->file, fd, bytes)
                      : block_file_open(&source->file, fd, &header, command.words);
    source->open = error == 0;
    if (error != 0)
        close(fd);
    return error;
}

static uint64_t offset_max(const struct drain *d, const struct source *source)
{
    if (d->header->size_max == 0)
        return 0;
    uint64_t others = d->written + sizeof(struct trace_block_header);
    for (uint32_t i = 0; i < d->source_count; i++)
        if (d->sources[i] != NULL && d->sources[i] != source && !d->sources[i]->finished)
            others += commit_tally(d->sources[i]->process)->bytes;
    return others < d->header->size_max ? d->header->size_max - others : 1;
}

static void begin_block(struct source *source)
{
    source->entries = 0;
    source->clock.time_first = source->end_tick;
    for (uint32_t i = 0; i < source->stream_count; i++)
        stream_begin_block(&source->streams[i]);
}

/*
 * Nobody writes there any more. The first page stays: it says how long the segment is and goes on being written, and
 * to look at a page that is not there takes space as well.
 */
static void discard(struct raw_segment *segment)
{
    segment->state = RAW_SEGMENT_GONE;
    if (segment->bytes > RAW_PAGE_BYTES)
        space_remove((char *)segment + RAW_PAGE_BYTES, segment->bytes - RAW_PAGE_BYTES);
}

/* Segments that threads carve off which saw the level before it was set to off. */
#define IN_FLIGHT_BYTES (UINT64_C(1) << 20)

/*
 * The disk is full, and mostly of what the raw file holds: recording ends here, and what the block
 * came from makes room for it, which needs a fifth of that.
 */
static void make_room(struct drain *d, const struct source *source)
{
    struct raw_header *header = d->header;
    struct raw_segment *segment;
    header->level = RAW_OFF;
    atomic_fetch_or(&source->process->flags, RAW_NO_SPACE);
    space_release(header, IN_FLIGHT_BYTES);
    while ((segment = raw_take(header, RAW_SEGMENT_BYTES_LARGE, header->file_bytes)) != NULL)
        discard(segment);
    for (uint32_t i = 0; i < source->stream_count; i++)
        for (uint32_t p = 0; p < source->streams[i].sealed.first; p++)
            discard(source->streams[i].pieces[p].segment);
}

/* What a failed write says for the trace: it ends before this block. */
static void fail(struct drain *d, struct source *source, int error)
{
    source->failed = true;
    if (source->failure == 0)
        source->failure = error;
    atomic_fetch_or(&source->process->flags, error == -EFBIG ? RAW_SIZE_LIMIT : RAW_NO_SPACE);
    d->header->level = RAW_OFF;
}

/*
 * The thread's first entries stand in the block: whether a reader makes a start of it (introduce() in
 * gather.c). It does where the thread's parent is known and not joined yet; and not when it has met
 * the thread before, as the parent of another one. A parent whose segments are gone was joined under
 * a drain before this one.
 */
static bool tells_start(struct source *source, struct stream *child)
{
    if (child->met_at < child->first_time)
        return false;
    child->met_at = child->first_time;
    if (child->parent >= source->stream_count || child->parent == child->thread)
        return false;
    struct stream *parent = &source->streams[child->parent];
    if (!parent->begun || parent->joined_at < child->first_time)
        return false;
    if (child->first_time < parent->met_at)
        parent->met_at = child->first_time;
    return true;
}

/*
 * The block holds so much more, and the starts of threads that it tells first. A thread has a higher
 * number than its parent, and so comes before it here.
 */
static void count_block(struct source *source)
{
    struct raw_tally *tally = &source->sealed;
    *tally = source->written;
    for (uint32_t i = source->stream_count; i-- > 0;) {
        struct stream *stream = &source->streams[i];
        if (stream->entries > 0 && !stream->announced) {
            stream->announced = true;
            tally->events += tells_start(source, stream);
        }
        tally->events += stream->events;
    }
    tally->entries += source->entries;
    tally->end_tick = source->end_tick;
}

/* The streams' columns become a block that waits to be packed. 0, -ENOMEM, or -errno of the file. */
static int seal(struct drain *d, struct source *source)
{
    source->header = (struct trace_block_header){.events = source->entries,
                                                 .time_first = source->clock.time_first,
                                                 .time_end = source->end_tick};
    int error = drain_blocks_open(d, source);
    if (error == 0)
        error = put_columns(source, &source->header);
    if (error != 0)
        return error;
    block_file_seal(&source->file);
    source->offset_max = offset_max(d, source);
    count_block(source);
    return 0;
}

/* The work that another thread can do. */
static void write_sealed(void *context)
{
    struct source *source = context;
    source->error = block_file_write(&source->file, &source->header, source->offset_max);
}

static bool is_full_disk(int error)
{
    return error == -ENOSPC || error == -EDQUOT;
}

/* The block that was sealed is in the file, and its tally holds, or the recording has ended. */
static int await_sealed(struct drain *d, struct source *source)
{
    assistant_wait(&d->assistant);
    source->is_sealed = false;
    if (is_full_disk(source->error)) {
        make_room(d, source);
        write_sealed(source);
    }
    if (source->error == -ENOMEM)
        return source->error;
    if (source->error != 0) {
        fail(d, source, source->error);
        return 0;
    }
    source->written = source->sealed;
    source->written.bytes = source->file.offset;
    return 0;
}

int drain_blocks_settle(struct drain *d, struct source *source)
{
    if (!source->is_sealed && !source->failed)
        return 0;
    int error = source->is_sealed ? await_sealed(d, source) : 0;
    if (error != 0)
        return error;
    commit(source);
    give_back(d, source);
    return 0;
}

int drain_blocks_write(struct drain *d, struct source *source, bool ahead)
{
    int error = drain_blocks_settle(d, source);
    if (error != 0)
        return error;
    note_places(source);
    if (!source->failed)
        error = seal(d, source);
    if (is_full_disk(error)) { /* the file could not even be made */
        make_room(d, source);
        error = seal(d, source);
    }
    if (error == -ENOMEM)
        return error;
    if (error != 0)
        fail(d, source, error);
    source->is_sealed = !source->failed;
    if (source->is_sealed && ahead)
        assistant_ask(&d->assistant, write_sealed, source);
    else if (source->is_sealed)
        write_sealed(source);
    error = ahead ? 0 : drain_blocks_settle(d, source);
    if (error == 0)
        begin_block(source);
    return error;
}
