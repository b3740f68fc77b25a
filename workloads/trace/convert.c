#include "workloads/trace/convert.h"

#include "workloads/trace/addresses.h"

#include <errno.h>
#include <stdlib.h>

#define NO_THREAD UINT32_MAX
#define NO_SLOT   UINT32_MAX

/* One stream of the recording, as the trace sees it. */
struct voice {
    uint32_t thread;       /* its number in the trace, given at its first event */
    uint32_t realloc_slot; /* between a realloc's BEGIN and its END: the slot of the new object */
    bool joined;
};

struct converter {
    struct trace_conversion *conversion;
    struct raw_streams *streams;
    struct trace_writer *writer;
    struct voice *voices;
    struct addresses addresses;
    uint32_t threads;
    uint64_t start;
};

static uint32_t thread_of(struct converter *c, uint32_t stream)
{
    struct voice *voice = &c->voices[stream];
    if (voice->thread == NO_THREAD)
        voice->thread = c->threads++;
    return voice->thread;
}

static int add(struct converter *c, const struct raw_event *raw, struct trace_event *event)
{
    event->thread = thread_of(c, raw->stream);
    event->time = (raw->time - c->start) >> c->conversion->time_shift;
    return trace_writer_add(c->writer, event);
}

static int add_free(struct converter *c, const struct raw_event *raw, uint32_t slot)
{
    return add(c, raw, &(struct trace_event){.op = TRACE_FREE, .slot = slot});
}

/* An address is handed out that still lives: its free was never seen. It is freed now, at last. */
static int make_room(struct converter *c, const struct raw_event *raw, uint64_t address)
{
    uint32_t slot;
    if (!addresses_take(&c->addresses, address, &slot))
        return 0;
    c->conversion->lost_frees++;
    return add_free(c, raw, slot);
}

static int convert_allocation(struct converter *c, const struct raw_event *raw)
{
    struct trace_event event = {.op = TRACE_MALLOC, .size = raw->size};
    if (raw->op == RAW_CALLOC)
        event.op = TRACE_CALLOC;
    if (raw->op >= RAW_ALIGNED) {
        event.op = TRACE_ALIGNED;
        event.alignment_log2 = raw->op - RAW_ALIGNED;
    }
    int error = make_room(c, raw, raw->address);
    if (error == 0)
        error = add(c, raw, &event);
    return error != 0 ? error : addresses_add(&c->addresses, raw->address, event.slot);
}

static int convert_free(struct converter *c, const struct raw_event *raw)
{
    uint32_t slot;
    if (addresses_take(&c->addresses, raw->address, &slot))
        return add_free(c, raw, slot);
    c->conversion->unknown_frees++;
    return 0;
}

/* The event stands where the realloc began; its new address is known to others only at its END. */
static int convert_realloc_begin(struct converter *c, const struct raw_event *raw)
{
    struct voice *voice = &c->voices[raw->stream];
    struct trace_event event = {.op = TRACE_REALLOC, .size = raw->size};
    voice->realloc_slot = NO_SLOT;
    if (raw->new_address == 0 || !addresses_take(&c->addresses, raw->address, &event.slot))
        return 0; /* failed, or of an unknown object: then its END begins one */
    event.moved = raw->new_address != raw->address;
    voice->realloc_slot = event.slot;
    return add(c, raw, &event);
}

static int convert_realloc_end(struct converter *c, const struct raw_event *raw)
{
    uint32_t slot = c->voices[raw->stream].realloc_slot;
    c->voices[raw->stream].realloc_slot = NO_SLOT;
    if (raw->address == 0)
        return 0;
    if (slot == NO_SLOT)
        return convert_allocation(c, raw);
    int error = make_room(c, raw, raw->address);
    return error != 0 ? error : addresses_add(&c->addresses, raw->address, slot);
}

static int convert_spawn(struct converter *c, const struct raw_event *raw)
{
    uint32_t child = raw_streams_started(c->streams, raw->address, raw->time);
    if (child == RAW_NO_STREAM || c->voices[child].thread != NO_THREAD)
        return 0;
    thread_of(c, raw->stream); /* the parent's number comes first */
    return add(c, raw, &(struct trace_event){.op = TRACE_SPAWN, .other = thread_of(c, child)});
}

static int convert_join(struct converter *c, const struct raw_event *raw)
{
    uint32_t child = raw_streams_joined(c->streams, raw->address, raw->time);
    if (child == RAW_NO_STREAM || child == raw->stream || c->voices[child].joined ||
        c->voices[child].thread == NO_THREAD || !raw_streams_ended(c->streams, child))
        return 0;
    c->voices[child].joined = true;
    return add(c, raw, &(struct trace_event){.op = TRACE_JOIN, .other = c->voices[child].thread});
}

/* True when another thread's event that reads a little later may belong before this one. */
static bool comes_too_early(const struct converter *c, const struct raw_event *raw)
{
    if (raw->retried || c->streams->heap_count == 1)
        return false; /* there is no other thread to wait for */
    switch (raw->op) {
    case RAW_FREE:
    case RAW_REALLOC_BEGIN: return !addresses_has(&c->addresses, raw->address);
    case RAW_REALLOC_END: return addresses_has(&c->addresses, raw->address);
    case RAW_SPAWN:
    case RAW_JOIN: return false;
    default: return addresses_has(&c->addresses, raw->address);
    }
}

static int convert_event(struct converter *c, const struct raw_event *raw)
{
    switch (raw->op) {
    case RAW_FREE: return convert_free(c, raw);
    case RAW_REALLOC_BEGIN: return convert_realloc_begin(c, raw);
    case RAW_REALLOC_END: return convert_realloc_end(c, raw);
    case RAW_SPAWN: return convert_spawn(c, raw);
    case RAW_JOIN: return convert_join(c, raw);
    default: return convert_allocation(c, raw);
    }
}

static int convert_all(struct converter *c)
{
    uint64_t events = 0;
    const struct raw_event *raw = raw_streams_peek(c->streams);
    c->start = raw != NULL ? raw->time : 0;
    while ((raw = raw_streams_peek(c->streams)) != NULL) {
        if (comes_too_early(c, raw)) {
            raw_streams_delay(c->streams);
            continue;
        }
        struct raw_event now = *raw;
        raw_streams_pop(c->streams); /* first: a join asks whether its thread has ended */
        int error = convert_event(c, &now);
        if (error != 0)
            return error;
        if (++events % 1000000 == 0 && c->conversion->progress != NULL)
            c->conversion->progress(events);
    }
    return 0;
}

int trace_convert(struct trace_conversion *conversion, struct raw_streams *streams,
                  struct trace_writer *writer)
{
    struct converter c = {.conversion = conversion, .streams = streams, .writer = writer};
    conversion->unknown_frees = conversion->lost_frees = 0;
    c.voices = calloc(streams->count + 1, sizeof *c.voices);
    if (c.voices == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < streams->count; i++)
        c.voices[i] = (struct voice){.thread = NO_THREAD, .realloc_slot = NO_SLOT};
    int error = convert_all(&c);
    addresses_release(&c.addresses);
    free(c.voices);
    return error;
}
