#include "workloads/trace/commit.h"
#include "workloads/trace/drain_blocks.h"
#include "workloads/trace/drain_command.h"
#include "workloads/trace/event.h"
#include "workloads/trace/round_limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENTRIES_ENOUGH = TRACE_BLOCK_EVENTS_MAX / 2 }; /* for a block; a round mostly adds fewer */

#define SLACK_NS 2000u         /* more than a processor reads its clock early, but for rare cases */
enum { ORDER_SLACK_US = 100 }; /* for readers: those as well (see gather.h) */
#define TICKS_HZ_MIN 40000000u /* the trace's clock is at least this fine: 25 ns */

/* ---- the clock ------------------------------------------------------------------------------- */

uint64_t raw_ticks_hz(const struct raw_header *header)
{
    if (!header->is_tsc || header->end_ns <= header->start_ns)
        return 1000000000u;
    double seconds = (double)(header->end_ns - header->start_ns) / 1e9;
    return (uint64_t)((double)(header->end_ticks - header->start_ticks) / seconds);
}

static void choose_time_shift(struct raw_header *header)
{
    uint32_t shift = 0;
    for (uint64_t hz = raw_ticks_hz(header); hz / 2 >= TICKS_HZ_MIN; hz /= 2)
        shift++;
    if (header->time_shift == 0)
        header->time_shift = shift;
}

static uint64_t slack_ticks(const struct drain *d)
{
    return raw_ticks_hz(d->header) / 1000000 * SLACK_NS / 1000;
}

/* ---- finding segments ------------------------------------------------------------------------ */

static struct source *get_source(struct drain *d, uint32_t index)
{
    if (index >= d->source_count) {
        uint32_t count = index + 16;
        struct source **sources = realloc(d->sources, count * sizeof *sources);
        if (sources == NULL)
            return NULL;
        memset(sources + d->source_count, 0, (count - d->source_count) * sizeof *sources);
        d->sources = sources;
        d->source_count = count;
    }
    if (d->sources[index] == NULL) {
        struct raw_process *process = raw_process(d->header, index);
        const struct raw_tally *tally = commit_tally(process);
        struct source *source = d->sources[index] = calloc(1, sizeof *source);
        if (source != NULL)
            *source = (struct source){.process = process,
                                      .finished = process->finished != 0,
                                      .end_tick = tally->end_tick,
                                      .written = *tally,
                                      .clock = {.time_first = tally->end_tick}};
    }
    return d->sources[index];
}

static struct stream *get_stream(struct source *source, const struct raw_segment *segment)
{
    uint32_t thread = segment->thread;
    if (thread >= source->stream_capacity) {
        uint32_t capacity = thread < 8 ? 8 : thread + thread / 2;
        struct stream *streams = realloc(source->streams, capacity * sizeof *streams);
        if (streams == NULL)
            return NULL;
        memset(streams + source->stream_capacity, 0,
               (capacity - source->stream_capacity) * sizeof *streams);
        source->streams = streams;
        source->stream_capacity = capacity;
    }
    if (thread >= source->stream_count)
        source->stream_count = thread + 1;
    struct stream *stream = &source->streams[thread];
    if (!stream->begun)
        *stream = (struct stream){.begun = true,
                                  .thread = thread,
                                  .parent = segment->parent,
                                  .self = segment->self,
                                  .created = segment->created,
                                  .started = segment->started,
                                  .first_time = UINT64_MAX,
                                  .joined_at = UINT64_MAX,
                                  .met_at = UINT64_MAX};
    return stream;
}

/* What a drain before this one has brought into the trace of the thread, is long ago. */
static void recall(struct stream *stream, uint32_t flags)
{
    if (flags & RAW_MET) {
        stream->met_at = 0;
        stream->first_time = 1;
    }
    if (flags & RAW_JOINED)
        stream->joined_at = 0;
}

static int add_segment(struct drain *d, struct raw_segment *segment)
{
    if (segment->process >= RAW_PROCESSES_MAX)
        return 0;
    struct source *source = get_source(d, segment->process);
    if (source == NULL)
        return -ENOMEM;
    if (segment->thread == RAW_NOBODY)
        return source->finished ? 0 : drain_command_take(source, segment);
    if (segment->thread >= TRACE_THREADS_MAX) /* several were at their first call at once */
        atomic_fetch_or(&source->process->flags, RAW_MANY_THREADS);
    if (source->finished || segment->thread >= TRACE_THREADS_MAX)
        return 0;
    struct stream *stream = get_stream(source, segment);
    if (stream == NULL)
        return -ENOMEM;
    segment->seen = 1;
    struct raw_mark mark = commit_mark(source->process, segment);
    recall(stream, mark.flags);
    return mark.consumed == RAW_CONSUMED ? 0 : stream_add(stream, segment, mark.consumed);
}

static int list_segment(struct drain *d, struct raw_segment *segment)
{
    if (d->segment_count == d->segment_capacity) {
        size_t capacity = d->segment_capacity > 0 ? 2 * d->segment_capacity : 64;
        struct raw_segment **segments = realloc(d->segments, capacity * sizeof *segments);
        if (segments == NULL)
            return -ENOMEM;
        d->segments = segments;
        d->segment_capacity = capacity;
    }
    d->segments[d->segment_count++] = segment;
    segment->listed = 1;
    return 0;
}

static bool has_length(const struct raw_segment *segment)
{
    return segment->bytes == RAW_SEGMENT_BYTES_SMALL || segment->bytes == RAW_SEGMENT_BYTES_LARGE;
}

static bool is_in_use(const struct raw_segment *segment)
{
    uint32_t state = atomic_load_explicit(&segment->state, memory_order_acquire);
    return state == RAW_SEGMENT_USED || state == RAW_SEGMENT_FULL;
}

/*
 * Lists what was announced since the last time. The list is the programs' to write: one that is damaged
 * leads no further.
 */
static int list_new(struct drain *d)
{
    const uint64_t last_page = d->header->file_bytes / RAW_PAGE_BYTES - 1;
    uint64_t page = atomic_exchange_explicit(&d->header->fresh, 0, memory_order_acquire);
    while (page >= RAW_FIRST_SEGMENT / RAW_PAGE_BYTES && page <= last_page) {
        struct raw_segment *segment =
            (struct raw_segment *)((char *)d->header + page * RAW_PAGE_BYTES);
        if (segment->listed || !has_length(segment))
            break;
        int error = list_segment(d, segment);
        if (error != 0)
            return error;
        page = segment->next;
    }
    return 0;
}

/* Takes up the segments that threads have begun to write to since the last time. */
static int see_segments(struct drain *d)
{
    int error = list_new(d);
    for (size_t i = 0; i < d->segment_count && error == 0; i++)
        if (is_in_use(d->segments[i]) && d->segments[i]->seen == 0)
            error = add_segment(d, d->segments[i]);
    return error;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Whose records are read. */
struct joining {
    struct source *source;
    const struct stream *stream;
    uint64_t slack; /* two threads' clocks differ by less */
};

/*
 * A thread that ran with the joined pthread_t before the join began is the one that was joined: the
 * value was not given to another one until then. It writes no more, and all its segments are known: what
 * is missing in them will not come. Where it is not sure, it may live: only its own thread, or the end of
 * the process, ends its segment.
 */
static void end_joined(struct stream *stream, uint64_t began, uint64_t slack)
{
    if (stream->started == 0 || stream->started + slack >= began)
        return;
    for (uint32_t p = stream->first; p < stream->count; p++)
        atomic_store_explicit(&stream->pieces[p].segment->state, RAW_SEGMENT_FULL,
                              memory_order_release);
}

/*
 * The thread that had this pthread_t when the join began: values come again when threads end, perhaps
 * several times in a round, and even before the join is written down. Those that have one in common are
 * numbered as they followed one another.
 */
static uint32_t find_joined(void *context, uint64_t self, uint64_t time)
{
    const struct joining *joining = context;
    struct source *source = joining->source;
    uint64_t began = joining->stream->wide;
    for (uint32_t i = source->stream_count; i-- > 0;) {
        struct stream *stream = &source->streams[i];
        if (stream->self != self || stream->joined_at != UINT64_MAX || stream->first_time > time ||
            stream->created > began)
            continue;
        stream->joined_at = time;
        end_joined(stream, began, joining->slack);
        return i;
    }
    return RAW_NOBODY;
}

/* The time of the first record, or UINT64_MAX. Streams that are seen for the first time are looked at on the way. */
static uint64_t find_begin(struct source *source)
{
    uint64_t time, begin = UINT64_MAX;
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        if (stream->first == stream->count || !stream_peek(stream, &time))
            continue;
        if (stream->first_time == UINT64_MAX)
            stream->first_time = time;
        if (time < begin)
            begin = time;
    }
    return begin;
}

static void begin_source(struct drain *d, struct source *source, uint64_t begin)
{
    struct raw_process *process = source->process;
    choose_time_shift(d->header);
    if (!process->began) {
        process->base_ticks = begin;
        process->began = 1;
    }
    source->clock.base_ticks = process->base_ticks;
    source->clock.time_shift = d->header->time_shift;
}

static uint64_t tick(const struct source *source, uint64_t time)
{
    return time < source->clock.base_ticks
               ? 0
               : (time - source->clock.base_ticks) >> source->clock.time_shift;
}

/*
 * One round over one process. Adds what it has read to *read. *more: there is more before `end` than
 * this round could take.
 */
static int read_source(struct drain *d, struct source *source, uint64_t end, bool *more,
                       uint64_t *read)
{
    uint64_t begin = find_begin(source), limit;
    *more = false;
    if (begin == UINT64_MAX)
        return 0;
    int error = round_limit(source->streams, source->stream_count, begin, end, &limit);
    if (error != 0)
        return error;
    *more = limit < end;
    begin_source(d, source, begin);
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        struct joining joining = {source, stream, slack_ticks(d)};
        uint32_t before = stream->entries;
        error = stream->count == 0
                    ? 0
                    : stream_read(stream, &source->clock, limit, find_joined, &joining);
        if (error != 0)
            return error;
        source->entries += stream->entries - before;
        *read += stream->entries - before;
        if (stream->entries > 0 && stream->time > source->end_tick)
            source->end_tick = stream->time;
    }
    if (limit != UINT64_MAX && tick(source, limit) > source->end_tick)
        source->end_tick = tick(source, limit);
    /* what is left of a process that is over is packed beside the reading: nobody waits for segments */
    return source->entries >= ENTRIES_ENOUGH ? drain_blocks_write(d, source, source->over && *more)
                                             : 0;
}

/* The same, and counts on for who sleeps on no clock meanwhile: to make a block takes milliseconds. */
static int read_and_count(struct drain *d, struct source *source, uint64_t end, bool *more,
                          uint64_t *read)
{
    uint64_t before = *read;
    int error = read_source(d, source, end, more, read);
    if (*read > before)
        d->header->coarse++;
    return error;
}

int64_t drain_round(struct drain *d)
{
    uint64_t end = raw_now(d->header->is_tsc != 0) - slack_ticks(d);
    uint64_t read = 0;
    int error = see_segments(d); /* after that time: see raw.h */
    for (uint32_t i = 0; i < d->source_count && error == 0; i++) {
        struct source *source = d->sources[i];
        bool more = source != NULL && !source->finished;
        uint64_t enough = read + DRAIN_ROUND_EVENTS;
        while (more && error == 0 && read < enough)
            error = read_and_count(d, source, end, &more, &read);
    }
    return error != 0 ? error : (int64_t)read;
}

/* ---- the end of a process -------------------------------------------------------------------- */

/* enum raw_flag: what the trace then lacks. */
enum {
    ENDS_EARLY = RAW_NO_SPACE | RAW_TOO_LONG | RAW_FORBIDDEN | RAW_SHUT | RAW_SIZE_LIMIT |
                 RAW_LEFT | RAW_MANY_THREADS
};

_Static_assert((int)RAW_THREADS_MAX == (int)TRACE_THREADS_MAX,
               "each thread of a recording has a number");

static uint32_t trace_flags(const struct drain *d, const struct source *source, int status)
{
    uint32_t raw = source->process->flags, flags = TRACE_RECORDED;
    if (raw & RAW_FORKED)
        flags |= TRACE_FORKED;
    if (raw & RAW_REPLACED)
        flags |= TRACE_REPLACED;
    if (raw & ENDS_EARLY)
        flags |= TRACE_TRUNCATED;
    if (status == -1)
        flags |= TRACE_STATUS_UNKNOWN;
    else if (WIFSIGNALED(status))
        flags |= TRACE_CRASHED;
    if (d->header->ever_partial)
        flags |= TRACE_PARTIAL;
    if (d->header->options & RAW_CPUS)
        flags |= TRACE_CPUS;
    return flags;
}

static uint64_t start_ns(const struct drain *d, const struct source *source)
{
    const struct raw_header *header = d->header;
    if (source->clock.base_ticks < header->start_ticks)
        return 0;
    double ticks = (double)(source->clock.base_ticks - header->start_ticks);
    double ns = ticks * 1e9 / (double)raw_ticks_hz(header);
    return ns < 1e18 ? (uint64_t)ns : 0; /* what a program at fault has written there */
}

/* Calls that are no events. */
static void count_others(const struct source *source, uint64_t *null_frees, uint64_t *failed_calls)
{
    const struct raw_tally *tally = commit_tally(source->process);
    *null_frees = source->process->null_frees + tally->null_frees;
    *failed_calls = source->process->failed_calls + tally->failed_calls;
    for (uint32_t i = 0; i < source->stream_count; i++)
        for (uint32_t p = 0; p < source->streams[i].count; p++) {
            *null_frees += source->streams[i].pieces[p].segment->null_frees;
            *failed_calls += source->streams[i].pieces[p].segment->failed_calls;
        }
}

static int finish_file(struct drain *d, struct source *source, int status)
{
    const struct raw_process *process = source->process;
    uint32_t threads = process->threads;
    uint64_t null_frees, failed_calls;
    count_others(source, &null_frees, &failed_calls);
    struct command command = drain_command(d, source);
    struct trace_file_header header = {
        .flags = trace_flags(d, source, status),
        .threads = threads < TRACE_THREADS_MAX ? threads : TRACE_THREADS_MAX,
        .ticks_hz = raw_ticks_hz(d->header) >> d->header->time_shift,
        .recorded_at = d->header->started_at,
        .failed_calls = failed_calls,
        .null_frees = null_frees,
        .exit_status = status == -1 ? 0 : status,
        .command_bytes = command.bytes,
        .sample = d->header->sample,
        .stack_depth = d->header->stack_depth,
        .pid = process->pid,
        .parent_pid = process->parent_pid,
        .start_ns = start_ns(d, source),
        .slack_ticks = raw_ticks_hz(d->header) / 1000000 * ORDER_SLACK_US >> d->header->time_shift,
    };
    return block_file_rewrite_header(&source->file, &header, command.words);
}

static void release_source(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++)
        stream_release(&source->streams[i]);
    free(source->streams);
    free(source->command);
    source->command = NULL;
    if (source->open) {
        close(source->file.fd);
        block_file_release(&source->file);
    }
    source->streams = NULL;
    source->stream_count = source->stream_capacity = 0;
    source->open = false;
}

static int read_rest(struct drain *d, struct source *source)
{
    bool more = true;
    uint64_t read = 0;
    int error = see_segments(d);
    for (uint32_t i = 0; i < source->stream_count; i++)
        stream_end(&source->streams[i]);
    source->over = true;
    while (more && error == 0)
        error = read_and_count(d, source, UINT64_MAX, &more, &read);
    if (error == 0)
        error = source->entries > 0 ? drain_blocks_write(d, source, false)
                                    : drain_blocks_settle(d, source);
    if (error != 0) /* what is not in the file is left to another drain */
        assistant_wait(&d->assistant);
    source->over = false;
    return error;
}

/* Nobody writes into the process's segments any more: all that it has go back. */
static void give_all(struct drain *d, uint32_t process)
{
    for (size_t i = 0; i < d->segment_count; i++)
        if (is_in_use(d->segments[i]) && d->segments[i]->process == process) {
            if (d->segments[i]->thread == RAW_NOBODY)
                drain_command_wipe(d->segments[i]);
            raw_give(d->header, d->segments[i]);
        }
}

static int finish(struct drain *d, struct source *source, int status)
{
    int error = read_rest(d, source);
    bool has_trace = commit_tally(source->process)->entries > 0;
    if (error == 0 && has_trace)
        error = drain_blocks_open(d, source);
    if (error == 0 && has_trace)
        error = finish_file(d, source, status);
    if (error != 0)
        return error;
    release_source(source);
    source->finished = true;
    source->process->finished = 1;
    return 0;
}

int drain_finish(struct drain *d, uint32_t process, int status, uint64_t *bytes, uint64_t *events)
{
    struct source *source = get_source(d, process);
    *bytes = *events = 0;
    int error = source == NULL ? -ENOMEM : source->finished ? 0 : finish(d, source, status);
    if (error != 0)
        return error;
    give_all(d, process);
    const struct raw_tally *tally = commit_tally(source->process);
    if (tally->entries > 0) {
        *bytes = tally->bytes + sizeof(struct trace_block_header);
        *events = tally->events;
    }
    d->written += *bytes;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

/*
 * Lists all segments, one after the other, when nobody writes; one that a drain before this one has
 * taken up is new to this one. Where there was no space for pages they must not be looked at: on a full
 * disk that would be a SIGBUS.
 */
static int list_all(struct drain *d)
{
    struct raw_header *header = d->header;
    uint64_t end = header->cut != 0 && header->cut < header->next ? header->cut : header->next;
    header->fresh = 0;
    for (uint64_t offset = RAW_FIRST_SEGMENT;
         offset + RAW_PAGE_BYTES <= end && offset + RAW_PAGE_BYTES <= header->file_bytes;) {
        struct raw_segment *segment = (struct raw_segment *)((char *)header + offset);
        bool was_begun = segment->state != RAW_SEGMENT_NONE && has_length(segment);
        int error = was_begun ? list_segment(d, segment) : 0;
        if (error != 0)
            return error;
        if (was_begun) {
            segment->seen = 0;
            if (segment->process < RAW_PROCESSES_MAX)
                commit_forget(raw_process(header, segment->process), segment);
        }
        offset += was_begun ? segment->bytes : RAW_PAGE_BYTES;
    }
    return 0;
}

/* A thread whose first segment has gone round stands in the trace. */
static void recall_threads(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        if (stream->count > 0 && stream->pieces[0].segment->sequence > 0)
            recall(stream, RAW_MET);
    }
}

int drain_open(struct drain **out, struct raw_header *header, struct drain_hooks hooks)
{
    struct drain *d = calloc(1, sizeof *d);
    if (d == NULL)
        return -ENOMEM;
    d->header = header;
    d->hooks = hooks;
    int error = list_all(d);
    if (error == 0)
        error = see_segments(d);
    for (uint32_t i = 0; i < d->source_count; i++)
        if (d->sources[i] != NULL)
            recall_threads(d->sources[i]);
    if (error != 0)
        drain_release(d);
    else
        *out = d;
    return error;
}

int drain_failure(const struct drain *d, uint32_t process)
{
    const struct source *source = process < d->source_count ? d->sources[process] : NULL;
    int failure = source != NULL ? source->failure : 0;
    return failure == -ENOSPC || failure == -EDQUOT ? 0 : failure;
}

void drain_release(struct drain *d)
{
    assistant_dismiss(&d->assistant);
    for (uint32_t i = 0; i < d->source_count; i++) {
        if (d->sources[i] != NULL)
            release_source(d->sources[i]);
        free(d->sources[i]);
    }
    free(d->sources);
    free(d->segments);
    free(d);
}
