#include "workloads/trace/drain_blocks.h"
#include "workloads/trace/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ENTRIES_ENOUGH = TRACE_BLOCK_EVENTS_MAX / 2, /* for a block; a round adds at most as many */
    ENTRIES_MIN = 16,                            /* of a stream in a round */
};

#define SLACK_NS     2000u     /* far more than a processor can read its clock early */
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
    if (header->time_shift != 0)
        return;
    for (uint64_t hz = raw_ticks_hz(header); hz / 2 >= TICKS_HZ_MIN; hz /= 2)
        header->time_shift++;
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
        struct source *source = d->sources[index] = calloc(1, sizeof *source);
        if (source != NULL)
            *source = (struct source){.process = process,
                                      .finished = process->finished != 0,
                                      .end_tick = process->end_tick,
                                      .written = {.entries = process->entries,
                                                  .events = process->events,
                                                  .end_tick = process->end_tick,
                                                  .bytes = process->written},
                                      .clock = {.time_first = process->end_tick}};
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

/* Its thread was joined, and writes there no more: what is missing in it will not come. */
static void fill(struct raw_segment *segment)
{
    atomic_store_explicit(&segment->state, RAW_SEGMENT_FULL, memory_order_release);
}

static int add_segment(struct drain *d, struct raw_segment *segment)
{
    if (segment->process >= RAW_PROCESSES_MAX)
        return 0;
    struct source *source = get_source(d, segment->process);
    if (source == NULL)
        return -ENOMEM;
    if (segment->thread >= TRACE_THREADS_MAX)
        atomic_fetch_or(&source->process->flags, RAW_TOO_LONG);
    if (source->finished || segment->thread >= TRACE_THREADS_MAX)
        return 0;
    struct stream *stream = get_stream(source, segment);
    if (stream == NULL)
        return -ENOMEM;
    segment->seen = 1;
    if (stream->ended)
        fill(segment);
    return stream_add(stream, segment);
}

/*
 * How far the segments reach. While programs run, those that have no pages yet must not be looked
 * at: on a full disk that would be a SIGBUS.
 */
static uint64_t used_bytes(struct drain *d, bool final)
{
    const struct raw_header *header = d->header;
    uint64_t ready = header->ready, next = header->next;
    if (final)
        d->limit = header->cut != 0 && header->cut < next ? header->cut : next;
    else if (ready + RAW_FIRST_SEGMENT == next && header->cut == 0)
        d->limit = next;
    return d->limit < header->file_bytes ? d->limit : header->file_bytes;
}

static bool is_segment(const struct raw_segment *segment, uint32_t state)
{
    return (state == RAW_SEGMENT_FREE || state == RAW_SEGMENT_USED || state == RAW_SEGMENT_FULL ||
            state == RAW_SEGMENT_GONE) &&
           (segment->bytes == RAW_SEGMENT_BYTES_SMALL || segment->bytes == RAW_SEGMENT_BYTES_LARGE);
}

/* All segments, one after the other; `again` also those that a drain before this one had seen. */
static int find_segments(struct drain *d, bool again, bool final)
{
    uint64_t bytes = used_bytes(d, final);
    for (uint64_t offset = RAW_FIRST_SEGMENT; offset + RAW_PAGE_BYTES <= bytes;) {
        struct raw_segment *segment = (struct raw_segment *)((char *)d->header + offset);
        uint32_t state = atomic_load_explicit(&segment->state, memory_order_acquire);
        bool known = is_segment(segment, state);
        bool in_use = state == RAW_SEGMENT_USED || state == RAW_SEGMENT_FULL;
        if (known && in_use && (again || segment->seen == 0)) {
            int error = add_segment(d, segment);
            if (error != 0)
                return error;
        }
        offset += known ? segment->bytes : RAW_PAGE_BYTES;
    }
    return 0;
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
 * value was not given to another one until then. Where that is not known, it may live: only its own
 * thread, or the end of the process, ends its segment.
 */
static void end_joined(struct stream *stream, uint64_t began, uint64_t slack)
{
    if (stream->started == 0 || stream->started + slack >= began)
        return;
    stream->ended = true;
    for (uint32_t p = stream->first; p < stream->count; p++)
        fill(stream->pieces[p].segment);
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

/*
 * Where the round ends: at `end`, or earlier when there is more than a block should hold, but never
 * before the first record: times may go back in a thread, where a signal handler came between.
 * Streams that are seen for the first time are looked at on the way.
 */
static uint64_t bound(struct source *source, uint64_t end, uint64_t *begin)
{
    uint32_t active = 0;
    uint64_t time, limit = end;
    *begin = UINT64_MAX;
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        if (stream->first == stream->count || !stream_peek(stream, &time))
            continue;
        if (stream->first_time == UINT64_MAX)
            stream->first_time = time;
        if (time < *begin)
            *begin = time;
        active++;
    }
    uint32_t each = active > 0 ? ENTRIES_ENOUGH / active : ENTRIES_ENOUGH;
    for (uint32_t i = 0; i < source->stream_count && active > 0; i++) {
        if (source->streams[i].first == source->streams[i].count)
            continue;
        time = stream_time_ahead(&source->streams[i], each > ENTRIES_MIN ? each : ENTRIES_MIN);
        if (time < *begin)
            time = *begin;
        if (time != UINT64_MAX && time + 1 < limit)
            limit = time + 1;
    }
    return limit;
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
    uint64_t begin, limit = bound(source, end, &begin);
    *more = limit < end && begin != UINT64_MAX;
    if (begin == UINT64_MAX)
        return 0;
    begin_source(d, source, begin);
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        struct joining joining = {source, stream, slack_ticks(d)};
        uint32_t before = stream->entries;
        int error = stream->count == 0
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
    return source->entries >= ENTRIES_ENOUGH || (*more && source->entries > 0)
               ? drain_blocks_write(d, source, source->over && *more)
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
    int error = find_segments(d, false, false);
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

static uint32_t trace_flags(const struct drain *d, const struct source *source, int status)
{
    uint32_t raw = source->process->flags, flags = TRACE_RECORDED;
    if (raw & RAW_FORKED)
        flags |= TRACE_FORKED;
    if (raw & RAW_REPLACED)
        flags |= TRACE_REPLACED;
    if (raw & (RAW_NO_SPACE | RAW_TOO_LONG | RAW_SIZE_LIMIT | RAW_LEFT))
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
    return (uint64_t)(ticks * 1e9 / (double)raw_ticks_hz(header));
}

static int finish_file(struct drain *d, struct source *source, int status)
{
    const struct raw_process *process = source->process;
    uint32_t threads = process->threads;
    struct trace_file_header header = {
        .flags = trace_flags(d, source, status),
        .threads = threads < TRACE_THREADS_MAX ? threads : TRACE_THREADS_MAX,
        .ticks_hz = raw_ticks_hz(d->header) >> d->header->time_shift,
        .recorded_at = d->header->started_at,
        .failed_calls = process->failed_calls,
        .null_frees = process->null_frees,
        .exit_status = status == -1 ? 0 : status,
        .command_bytes = d->header->command_bytes,
        .sample = d->header->sample,
        .stack_depth = d->header->stack_depth,
        .pid = process->pid,
        .parent_pid = process->parent_pid,
        .start_ns = start_ns(d, source),
        .slack_ticks = slack_ticks(d) >> d->header->time_shift,
    };
    return block_file_rewrite_header(&source->file, &header, d->header->command);
}

static void release_source(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++)
        stream_release(&source->streams[i]);
    free(source->streams);
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
    int error = find_segments(d, false, true);
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

int drain_finish(struct drain *d, uint32_t process, int status, uint64_t *bytes, uint64_t *events)
{
    struct source *source = get_source(d, process);
    *bytes = *events = 0;
    int error = source == NULL ? -ENOMEM : source->finished ? 0 : read_rest(d, source);
    if (error != 0 || source->finished)
        return error;
    drain_blocks_give_all(d, source);
    if (source->process->entries > 0)
        error = drain_blocks_open(d, source);
    if (source->process->entries > 0 && error == 0) {
        error = finish_file(d, source, status);
        *bytes = block_file_bytes(&source->file);
        *events = source->process->events;
        d->written += *bytes;
    }
    release_source(source);
    source->finished = true;
    source->process->finished = 1;
    return error;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Threads of which a drain before this one has brought something into the trace. */
static void recall_threads(struct source *source)
{
    for (uint32_t i = 0; i < source->stream_count; i++) {
        struct stream *stream = &source->streams[i];
        if (stream->count > 0 &&
            (stream->pieces[0].segment->sequence > 0 || stream->pieces[0].segment->met))
            stream->met_at = 0;
    }
}

int drain_open(struct drain **out, struct raw_header *header, struct drain_hooks hooks)
{
    struct drain *d = calloc(1, sizeof *d);
    if (d == NULL)
        return -ENOMEM;
    d->header = header;
    d->hooks = hooks;
    int error = find_segments(d, true, true);
    for (uint32_t i = 0; i < d->source_count; i++)
        if (d->sources[i] != NULL)
            recall_threads(d->sources[i]);
    if (error != 0)
        drain_release(d);
    else
        *out = d;
    return error;
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
    free(d);
}
