#include "workloads/trace/cut.h"

#include "util/errno_text.h"
#include "workloads/trace/reader.h"
#include "workloads/trace/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NO_NUMBER UINT32_MAX

/* What lives in a slot of the source. */
struct held {
    uint64_t object, size;
    uint32_t owner, alignment_log2;
    uint32_t slot; /* in the cut; meaningful once it was made there */
    enum trace_op op;
    bool live, kept;
};

/* A thread of the source. */
struct track {
    uint32_t number; /* in the cut; NO_NUMBER: not there yet */
    bool takes_part; /* has to do with the objects of the chosen thread */
    bool on_cpu;     /* it is known which, */
    bool told;       /* and the cut has it */
    uint32_t cpu, node;
};

struct cut {
    const char *path;
    const struct cut_request *request;
    struct cut_result *result;
    char *error;
    size_t error_bytes;
    struct track *tracks;
    uint32_t threads;
    uint64_t first_event, end_event; /* of a steady window */
    uint64_t from_tick, to_tick;     /* of a span of time */
    uint8_t *touched;                /* one bit for each object: the chosen thread's */
    uint64_t touched_bytes;
    struct held *held; /* by slot of the source */
    uint32_t held_count;
    struct trace_writer *writer;
    uint64_t start_tick;   /* of the cut's time 0 */
    bool begun;            /* the front is written */
    uint64_t source_front; /* events at the front of the source, itself a cut */
    double ns_per_tick;
};

static int fail(struct cut *c, int error, const char *what)
{
    snprintf(c->error, c->error_bytes, "cannot cut '%s': %s", c->path, what);
    return error;
}

static int out_of_memory(struct cut *c)
{
    return fail(c, -ENOMEM, "it needs more memory than there is");
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef int each_event(struct cut *c, const struct trace_event *event, uint64_t number,
                       uint64_t live_bytes);

/* Calls `each` for every event. */
static int read_all(struct cut *c, struct trace_reader *reader, each_event *each)
{
    const struct trace_rules *rules = trace_reader_rules(reader);
    struct trace_event event;
    enum trace_next next;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        int error = each(c, &event, rules->events - 1, rules->live_bytes);
        if (error != 0)
            return error;
    }
    if (next == TRACE_END)
        return 0;
    snprintf(c->error, c->error_bytes, "%s", trace_reader_error(reader));
    return -EINVAL;
}

static int read_again(struct cut *c, each_event *each)
{
    struct trace_reader *reader;
    int error = trace_reader_open(&reader, c->path, c->error, c->error_bytes);
    if (error != 0)
        return error;
    error = trace_reader_header(reader)->threads == c->threads
                ? read_all(c, reader, each)
                : fail(c, -EINVAL, "it changed while it was read");
    trace_reader_close(reader);
    return error;
}

/* ---- the steady window ----------------------------------------------------------------------- */

struct search {
    struct cut cut; /* first, so that the one leads to the other */
    struct trace_curve curve;
};

static int follow(struct cut *c, const struct trace_event *event, uint64_t number,
                  uint64_t live_bytes)
{
    struct search *search = (struct search *)c;
    curve_add(&search->curve, number, event->time, live_bytes);
    return 0;
}

static int find_steady(struct cut *c)
{
    struct search *search = malloc(sizeof *search);
    if (search == NULL)
        return out_of_memory(c);
    search->cut = *c;
    curve_begin(&search->curve);
    int error = read_again(&search->cut, follow);
    struct curve_window *window = &c->result->window;
    if (error == 0 &&
        !curve_find_steady(&search->curve, CUT_STEADY_SPREAD, CUT_STEADY_SHARE, window)) {
        char what[256];
        snprintf(what, sizeof what,
                 "it is nowhere steady: in the flattest tenth of its events, live bytes vary by "
                 "%.1f %%, and at most %.0f %% were wanted; choose a part with --from and --to",
                 100 * window->spread, 100 * CUT_STEADY_SPREAD);
        error = fail(c, -ESRCH, what);
    }
    c->first_event = window->first * search->curve.width;
    c->end_event =
        window->end < search->curve.count ? window->end * search->curve.width : UINT64_MAX;
    free(search);
    return error;
}

/* ---- the objects of a thread ----------------------------------------------------------------- */

static bool is_kept(const struct cut *c, uint64_t object)
{
    return c->request->thread == CUT_ALL_THREADS ||
           (object / 8 < c->touched_bytes && (c->touched[object / 8] >> object % 8 & 1));
}

static int touch(struct cut *c, uint64_t object, uint32_t partner)
{
    c->tracks[partner].takes_part = true;
    if (object / 8 >= c->touched_bytes) {
        uint64_t bytes = object / 4 + 4096;
        uint8_t *touched = realloc(c->touched, bytes);
        if (touched == NULL)
            return out_of_memory(c);
        memset(touched + c->touched_bytes, 0, bytes - c->touched_bytes);
        c->touched = touched;
        c->touched_bytes = bytes;
    }
    c->touched[object / 8] |= (uint8_t)(1 << object % 8);
    return 0;
}

/* Its own objects, whoever ends them, and those of others that it ends. */
static int mark(struct cut *c, const struct trace_event *event, uint64_t number,
                uint64_t live_bytes)
{
    (void)number, (void)live_bytes;
    uint32_t chosen = (uint32_t)c->request->thread;
    int error = 0;
    if (trace_ends(event->op) && (event->thread == chosen || event->ended_owner == chosen))
        error = touch(c, event->ended_object,
                      event->thread == chosen ? event->ended_owner : event->thread);
    if (error == 0 && trace_allocates(event->op) && event->thread == chosen)
        error = touch(c, event->object, chosen);
    return error;
}

static int choose_thread(struct cut *c)
{
    if (c->request->thread >= (int64_t)c->threads) {
        char what[128];
        snprintf(what, sizeof what, "it has no thread %" PRId64 "; its %s%" PRIu32,
                 c->request->thread, c->threads == 1 ? "only one is " : "threads are 0 to ",
                 c->threads - 1);
        return fail(c, -EINVAL, what);
    }
    return read_again(c, mark);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int cannot_write(struct cut *c, int error)
{
    char what[128];
    snprintf(what, sizeof what, "the part cannot be written: %s", errno_text(-error));
    return fail(c, error, what);
}

static int put(struct cut *c, struct trace_event *event)
{
    int error = trace_writer_add(c->writer, event);
    if (error == -EINVAL)
        return fail(c, error, trace_writer_reason(c->writer));
    return error != 0 ? cannot_write(c, error) : 0;
}

static uint32_t number_of(struct cut *c, uint32_t thread)
{
    struct track *track = &c->tracks[thread];
    if (track->number == NO_NUMBER)
        track->number = c->result->threads++;
    return track->number;
}

/* Takes over a CPU from events that are not in the cut. */
static void set_cpu(struct track *track, struct trace_event *event)
{
    if (track->told || !track->on_cpu)
        return;
    event->on_new_cpu = track->told = true;
    event->cpu = track->cpu;
    event->node = track->node;
}

static void note_cpu(struct cut *c, const struct trace_event *event)
{
    struct track *track = &c->tracks[event->thread];
    if (!event->on_new_cpu)
        return;
    track->on_cpu = true;
    track->told = false;
    track->cpu = event->cpu;
    track->node = event->node;
}

static int by_object(const void *a, const void *b)
{
    const struct held *x = *(struct held *const *)a, *y = *(struct held *const *)b;
    return (x->object > y->object) - (x->object < y->object);
}

static void count_front(struct cut *c, const struct trace_event *event)
{
    c->result->front_events++;
    c->result->front_bytes += event->size;
}

static int put_front(struct cut *c, struct held **live, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct held *held = live[i];
        struct trace_event event = {.op = held->op,
                                    .thread = number_of(c, held->owner),
                                    .size = held->size,
                                    .alignment_log2 = held->alignment_log2};
        int error = put(c, &event);
        if (error != 0)
            return error;
        held->slot = event.slot;
        count_front(c, &event);
    }
    return 0;
}

static int rebuild(struct cut *c)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < c->held_count; i++)
        count += c->held[i].live && c->held[i].kept;
    struct held **live = malloc((count + 1) * sizeof *live);
    if (live == NULL)
        return out_of_memory(c);
    count = 0;
    for (uint32_t i = 0; i < c->held_count; i++)
        if (c->held[i].live && c->held[i].kept)
            live[count++] = &c->held[i];
    qsort(live, count, sizeof *live, by_object);
    int error = put_front(c, live, count);
    free(live);
    return error;
}

static int reach(struct cut *c, uint32_t slot)
{
    if (slot < c->held_count)
        return 0;
    uint64_t count = c->held_count ? c->held_count * UINT64_C(2) : 1024;
    while (count <= slot)
        count *= 2;
    struct held *held = realloc(c->held, count * sizeof *held);
    if (held == NULL)
        return out_of_memory(c);
    memset(held + c->held_count, 0, (count - c->held_count) * sizeof *held);
    c->held = held;
    c->held_count = (uint32_t)count;
    return 0;
}

/* A realloc'd object is made at a front by malloc. */
static int hold(struct cut *c, const struct trace_event *event, uint32_t slot)
{
    if (event->op == TRACE_FREE)
        c->held[event->slot].live = false;
    if (!trace_allocates(event->op))
        return 0;
    int error = reach(c, event->slot);
    if (error == 0)
        c->held[event->slot] =
            (struct held){.object = event->object,
                          .size = event->size,
                          .owner = event->thread,
                          .alignment_log2 = event->alignment_log2,
                          .slot = slot,
                          .op = event->op == TRACE_REALLOC ? TRACE_MALLOC : event->op,
                          .live = true,
                          .kept = is_kept(c, event->object)};
    return error;
}

/* What is left of the event when only some objects are kept; false: nothing. */
static bool narrow(const struct cut *c, struct trace_event *event)
{
    bool all = c->request->thread == CUT_ALL_THREADS;
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        return all || (c->tracks[event->thread].takes_part && c->tracks[event->other].takes_part);
    bool makes = trace_allocates(event->op) && is_kept(c, event->object);
    bool ends = trace_ends(event->op) && c->held[event->slot].kept;
    if (ends)
        event->slot = c->held[event->slot].slot;
    if (event->op == TRACE_REALLOC && !(makes && ends)) {
        event->op = makes ? TRACE_MALLOC : TRACE_FREE;
        event->moved = false;
        if (!makes)
            event->stack_depth = 0;
    }
    return makes || ends;
}

static int put_event(struct cut *c, const struct trace_event *source, uint64_t number)
{
    struct trace_event event = *source;
    note_cpu(c, source);
    if (!narrow(c, &event))
        return hold(c, source, 0);
    set_cpu(&c->tracks[source->thread], &event);
    event.time = source->time - c->start_tick;
    event.thread = number_of(c, source->thread);
    if (event.op == TRACE_SPAWN || event.op == TRACE_JOIN)
        event.other = number_of(c, source->other);
    if (number < c->source_front)
        count_front(c, &event);
    int error = put(c, &event);
    c->result->to_ns = trace_scaled_time(source->time, c->ns_per_tick);
    return error != 0 ? error : hold(c, source, event.slot);
}

static int begin(struct cut *c, const struct trace_event *event)
{
    c->begun = true;
    c->start_tick = c->request->steady ? event->time : c->from_tick;
    c->result->from_ns = trace_scaled_time(event->time, c->ns_per_tick);
    return rebuild(c);
}

static int take(struct cut *c, const struct trace_event *event, uint64_t number,
                uint64_t live_bytes)
{
    (void)live_bytes;
    if (number >= c->end_event || (event->time >= c->to_tick && c->to_tick != UINT64_MAX))
        return 0;
    if (number < c->first_event || event->time < c->from_tick) {
        note_cpu(c, event);
        return hold(c, event, 0);
    }
    int error = c->begun ? 0 : begin(c, event);
    return error != 0 ? error : put_event(c, event, number);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int find_nothing(struct cut *c, const struct trace_file_header *header)
{
    char what[160];
    if (c->request->steady && c->request->thread != CUT_ALL_THREADS) {
        snprintf(what, sizeof what,
                 "thread %" PRId64 " does nothing in its steady part; choose a part with --from "
                 "and --to",
                 c->request->thread);
        return fail(c, -EINVAL, what);
    }
    snprintf(what, sizeof what, "nothing happens in that part of it; it lasts %.6f s",
             (double)header->duration_ticks / (double)header->ticks_hz);
    return fail(c, -EINVAL, what);
}

static int finish(struct cut *c, const struct trace_file_header *source, bool to_the_end)
{
    struct trace_file_header facts = *source;
    facts.flags |= TRACE_PARTIAL;
    if (!to_the_end)
        facts.flags |= TRACE_STATUS_UNKNOWN;
    facts.null_frees = facts.failed_calls = facts.unknown_frees = facts.lost_frees = 0;
    facts.front_events = c->result->front_events;
    facts.start_ns += trace_scaled_time(c->start_tick, c->ns_per_tick);
    int error = trace_writer_finish(c->writer, &facts);
    c->result->events = facts.events;
    return error != 0 ? cannot_write(c, error) : 0;
}

static int write_cut(struct cut *c, struct trace_reader *reader, int fd)
{
    const struct trace_file_header *header = trace_reader_header(reader);
    int error = trace_writer_open(&c->writer, fd, c->threads, trace_reader_command(reader),
                                  header->command_bytes);
    if (error != 0)
        return cannot_write(c, error);
    c->source_front = header->front_events;
    error = read_all(c, reader, take);
    if (error == 0 && trace_writer_rules(c->writer)->events == c->result->front_events)
        error = find_nothing(c, header);
    c->result->all_events = trace_reader_rules(reader)->events;
    bool to_the_end = c->to_tick == UINT64_MAX && c->end_event == UINT64_MAX;
    return error == 0 ? finish(c, header, to_the_end) : error;
}

/* A pipe gives its events once only. */
static int check_readable_twice(struct cut *c)
{
    struct stat file;
    if (stat(c->path, &file) != 0 || S_ISREG(file.st_mode))
        return 0; /* that there is none, the reader says */
    return fail(c, -EINVAL,
                "it is no regular file, and a cut may have to read it twice; write the trace to a "
                "file first");
}

static int prepare(struct cut *c, const struct trace_file_header *header)
{
    double ticks_per_ns = (double)header->ticks_hz / 1e9;
    c->threads = header->threads;
    c->ns_per_tick = 1e9 / (double)header->ticks_hz;
    c->end_event = UINT64_MAX;
    c->from_tick = trace_scaled_time(c->request->from_ns, ticks_per_ns);
    c->to_tick = c->request->to_ns == UINT64_MAX
                     ? UINT64_MAX
                     : trace_scaled_time(c->request->to_ns, ticks_per_ns);
    c->tracks = calloc(c->threads, sizeof *c->tracks);
    if (c->tracks == NULL)
        return out_of_memory(c);
    for (uint32_t i = 0; i < c->threads; i++)
        c->tracks[i].number = NO_NUMBER;
    int error = c->request->thread != CUT_ALL_THREADS ? choose_thread(c) : 0;
    return error == 0 && c->request->steady ? find_steady(c) : error;
}

int trace_cut(const char *path, const struct cut_request *request, int fd,
              struct cut_result *result, char *error, size_t error_bytes)
{
    struct cut c = {.path = path,
                    .request = request,
                    .result = result,
                    .error = error,
                    .error_bytes = error_bytes};
    struct trace_reader *reader;
    *result = (struct cut_result){0};
    int failed = check_readable_twice(&c);
    if (failed == 0)
        failed = trace_reader_open(&reader, path, error, error_bytes);
    if (failed != 0)
        return failed;
    failed = prepare(&c, trace_reader_header(reader));
    if (failed == 0)
        failed = write_cut(&c, reader, fd);
    trace_reader_close(reader);
    if (c.writer != NULL)
        trace_writer_release(c.writer);
    free(c.tracks);
    free(c.touched);
    free(c.held);
    return failed;
}
