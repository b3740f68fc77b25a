#include "workloads/trace/gather.h"

#include "workloads/trace/addresses.h"
#include "workloads/trace/owed.h"
#include "workloads/trace/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

/* Each of those that wait is looked at with each entry; others do not wait. */
enum { WAITING_MAX = 64 };

static const char no_memory[] = "it needs more memory to read than there is";
static const char not_encoded[] = "it is not encoded as an event";

/* One thread of the trace. */
struct voice {
    uint32_t realloc_slot; /* between a realloc's BEGIN and its END: the object's */
    uint64_t realloc_address;
    bool seen, joined;
};

/* Who ended the object at an address last, as far as it is known still. */
struct ending {
    uint64_t address, time;
    uint32_t thread;
};

enum { ENDINGS_LOG2 = 12 };

enum { QUEUE = 4 }; /* a spawn, a lost free, and the event itself */

struct gather {
    struct runs runs;
    struct trace_rules *rules;
    struct addresses addresses;
    struct voice *voices;
    uint64_t slack_ticks, patience_ticks, now;
    struct owed owed;
    struct ending *endings; /* by a hash of the address */
    struct gather_counts counts;
    struct trace_event queue[QUEUE];
    unsigned queued, taken;
    uint64_t stack[TRACE_STACK_MAX]; /* of the one in the queue that has one */
};

/* ---- entries into events --------------------------------------------------------------------- */

static const char *emit(struct gather *g, struct trace_event event)
{
    event.time = g->now;
    const char *reason = trace_rules_apply(g->rules, &event);
    if (reason == NULL)
        g->queue[g->queued++] = event;
    return reason;
}

/* A thread's first event: before it comes the start by its parent, if that is still there. */
static const char *introduce(struct gather *g, uint32_t thread)
{
    struct voice *voice = &g->voices[thread];
    uint32_t parent = g->runs.threads[thread].parent;
    if (voice->seen)
        return NULL;
    voice->seen = true;
    if (parent == 0 || parent - 1 == thread || g->voices[parent - 1].joined)
        return NULL;
    /* a parent that has done nothing else stands without a start of its own */
    g->voices[parent - 1].seen = true;
    return emit(g, (struct trace_event){.op = TRACE_SPAWN, .thread = parent - 1, .other = thread});
}

/* ---- what is owed ---------------------------------------------------------------------------- */

static bool is_owed_object(struct gather *g, uint64_t address)
{
    const struct owing *owing = owed_find(&g->owed, address);
    return owing != NULL && owing->kind == OWED_OBJECT;
}

static struct ending *ending_of(const struct gather *g, uint64_t address)
{
    return &g->endings[(address >> 4) * 0x9e3779b97f4a7c15u >> (64 - ENDINGS_LOG2)];
}

static void note_ending(struct gather *g, uint32_t thread, uint64_t address)
{
    *ending_of(g, address) = (struct ending){address, g->now, thread};
}

/* An object ended there shortly before: by *thread, which may have been too early. */
static bool ended_before(const struct gather *g, uint32_t *thread, uint64_t address)
{
    const struct ending *ending = ending_of(g, address);
    if (ending->address != address || ending->time + g->slack_ticks < g->now)
        return false;
    *thread = ending->thread;
    return true;
}

static const char *owe(struct gather *g, uint32_t thread, uint64_t address, enum owed_kind kind)
{
    struct owing *before = owed_find(&g->owed, address);
    struct owing owing = {.address = address,
                          .until = g->now + g->slack_ticks,
                          .thread = thread,
                          .ender = thread,
                          .count = before != NULL ? before->count + 1 : 1,
                          .kind = kind};
    owing.was_there = ended_before(g, &owing.ender, address);
    if (before != NULL)
        owed_settle(&g->owed, before);
    return owed_add(&g->owed, owing) == 0 ? NULL : no_memory;
}

/* The free comes that the address was taken without. */
static bool pay_free(struct gather *g, uint64_t address)
{
    struct owing *owing = owed_find(&g->owed, address);
    if (owing == NULL || owing->kind != OWED_FREE)
        return false;
    owed_settle_one(&g->owed, owing);
    return true;
}

static const char *end_slot(struct gather *g, uint32_t thread, uint32_t slot)
{
    return emit(g, (struct trace_event){.op = TRACE_FREE, .thread = thread, .slot = slot});
}

/*
 * An object comes at last. Of two frees in front of it either may be the one that was too early, but not its own
 * thread's. If both are, or nothing was known of the address, it is none of what is owed, unless it comes at once:
 * that was one from before, or from where nobody records, and the address has been used again.
 */
static void see_object(const struct gather *g, struct owing *owing, uint32_t thread)
{
    bool is_at_once = g->now <= owing->until - g->slack_ticks + g->patience_ticks;
    if (thread == owing->thread)
        owing->thread = owing->ender;
    if (thread != owing->thread && (owing->was_there || is_at_once))
        owing->has_come = true;
}

/* The object there ends as it should: if that was one that is owed, it is none any more. */
static void see_end(struct gather *g, uint32_t thread, uint64_t address)
{
    struct owing *owing = owed_find(&g->owed, address);
    if (owing != NULL)
        owing->has_come = false;
    note_ending(g, thread, address);
}

/*
 * The address is handed out. If its object lives still, its free has come before, too early, or is still to
 * come, or was never seen; it ends now.
 */
static const char *make_room(struct gather *g, uint32_t thread, uint64_t address)
{
    struct owing *owing = owed_find(&g->owed, address);
    bool was_early = owing != NULL && owing->kind == OWED_OBJECT;
    uint32_t slot, ender = thread;
    if (!addresses_take(&g->addresses, address, &slot)) {
        if (was_early)
            see_object(g, owing, thread);
        return NULL;
    }
    if (was_early && !g->voices[owing->thread].joined)
        ender = owing->thread;
    if (was_early)
        owed_settle_one(&g->owed, owing);
    const char *reason = end_slot(g, ender, slot);
    return reason != NULL || was_early ? reason : owe(g, thread, address, OWED_FREE);
}

/* Gives up the oldest, if it is time; true: it did. An object that has come meanwhile is the one. */
static bool give_up_owed(struct gather *g, bool at_end, const char **reason)
{
    struct owing *owing = owed_oldest(&g->owed);
    uint32_t slot;
    if (owing == NULL ||
        (!at_end && !owed_is_full(&g->owed) &&
         (g->runs.heap_count == 0 || runs_first(&g->runs)->head.time <= owing->until)))
        return false;
    if (owing->kind == OWED_OBJECT && owing->has_come && !g->voices[owing->thread].joined &&
        addresses_take(&g->addresses, owing->address, &slot)) {
        *reason = end_slot(g, owing->thread, slot);
        owing->count--;
    }
    if (owing->kind == OWED_OBJECT)
        g->counts.unknown_frees += owing->count;
    else
        g->counts.lost_frees += owing->count;
    owed_settle(&g->owed, owing);
    return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static struct trace_event describe(struct gather *g, uint32_t thread, const struct entry *entry)
{
    if (entry->stack_depth > 0)
        memcpy(g->stack, g->runs.threads[thread].stack, entry->stack_depth * sizeof *g->stack);
    return (struct trace_event){.op = (enum trace_op)entry->op,
                                .thread = thread,
                                .size = entry->size,
                                .alignment_log2 = entry->alignment_log2,
                                .on_new_cpu = entry->on_new_cpu,
                                .cpu = entry->cpu,
                                .node = entry->node,
                                .stack_depth = entry->stack_depth,
                                .stack = g->stack};
}

static const char *allocate(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct trace_event event = describe(g, thread, entry);
    const char *reason = make_room(g, thread, entry->address);
    if (event.op == TRACE_REALLOC)
        event.op = TRACE_MALLOC; /* of an object from before */
    if (reason == NULL)
        reason = emit(g, event);
    if (reason == NULL &&
        addresses_add(&g->addresses, entry->address, g->queue[g->queued - 1].slot) != 0)
        reason = no_memory;
    return reason;
}

static const char *end_object(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct trace_event event = describe(g, thread, entry);
    if (pay_free(g, entry->address))
        return NULL;
    if (addresses_take(&g->addresses, entry->address, &event.slot)) {
        see_end(g, thread, entry->address);
        return emit(g, event);
    }
    return owe(g, thread, entry->address, OWED_OBJECT);
}

/* From here on the old address may be handed out to others. */
static const char *begin_realloc(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct voice *voice = &g->voices[thread];
    voice->realloc_slot = NO_SLOT;
    voice->realloc_address = entry->address;
    if (pay_free(g, entry->address))
        g->counts.lost_frees++; /* its object has ended: what it makes is another one */
    else if (addresses_take(&g->addresses, entry->address, &voice->realloc_slot))
        see_end(g, thread, entry->address);
    return NULL;
}

static const char *end_realloc(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct voice *voice = &g->voices[thread];
    uint32_t slot = voice->realloc_slot;
    bool failed = entry->op == RECORDED_REALLOC_FAILED;
    uint64_t address = failed ? voice->realloc_address : entry->address;
    voice->realloc_slot = NO_SLOT;
    if (slot == NO_SLOT)
        return failed ? NULL : allocate(g, thread, entry);
    const char *reason = make_room(g, thread, address);
    struct trace_event event = describe(g, thread, entry);
    event.slot = slot;
    event.moved = address != voice->realloc_address;
    if (reason == NULL && !failed)
        reason = emit(g, event);
    if (reason == NULL && addresses_add(&g->addresses, address, slot) != 0)
        reason = no_memory;
    return reason;
}

static const char *join(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct voice *child = &g->voices[entry->other];
    if (entry->other == thread || !child->seen || child->joined ||
        g->runs.threads[entry->other].run != NULL)
        return NULL;
    child->joined = true;
    return emit(g, (struct trace_event){.op = TRACE_JOIN, .thread = thread, .other = entry->other});
}

static const char *convert(struct gather *g, uint32_t thread, const struct entry *entry)
{
    if (g->voices[thread].joined)
        return NULL; /* no thread does anything then: the file is not what it says */
    const char *reason = introduce(g, thread);
    if (reason != NULL)
        return reason;
    switch (entry->op) {
    case TRACE_FREE: return end_object(g, thread, entry);
    case TRACE_JOIN: return join(g, thread, entry);
    case TRACE_REALLOC:
    case RECORDED_REALLOC_FAILED: return end_realloc(g, thread, entry);
    case RECORDED_REALLOC_BEGIN: return begin_realloc(g, thread, entry);
    default: return allocate(g, thread, entry);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* True when another thread's entry that reads a little later may belong before this one. */
static bool comes_too_early(struct gather *g, const struct run *run)
{
    const struct entry *entry = &run->head;
    uint32_t ender = run->thread;
    if (g->runs.heap_count + g->runs.waiting_count == 1 || run->gave_up)
        return false; /* there is no other thread to wait for */
    switch (entry->op) {
    case TRACE_FREE:
    case RECORDED_REALLOC_BEGIN:
        return !addresses_has(&g->addresses, entry->address) &&
               (!ended_before(g, &ender, entry->address) || ender == run->thread);
    case TRACE_JOIN: return g->runs.threads[entry->other].run != NULL;
    case RECORDED_REALLOC_FAILED: return false;
    default:
        return addresses_has(&g->addresses, entry->address) && !is_owed_object(g, entry->address);
    }
}

/* After an entry of `thread`: who waited for it comes next. */
static void wake(struct gather *g, uint32_t thread, const struct entry *entry)
{
    uint64_t address =
        entry->op == RECORDED_REALLOC_FAILED ? g->voices[thread].realloc_address : entry->address;
    for (uint32_t i = g->runs.waiting_count; i-- > 0;) {
        struct run *run = g->runs.waiting[i];
        bool is_join = run->head.op == TRACE_JOIN;
        if (is_join ? g->runs.threads[thread].run != NULL || run->head.other != thread
                    : run->head.address != address || comes_too_early(g, run))
            continue;
        runs_resume(&g->runs, i);
    }
}

/* The earliest one has waited long enough: from here on it is owed what it waited for. */
static bool give_up(struct gather *g)
{
    uint32_t first = 0;
    if (g->runs.waiting_count == 0)
        return false;
    for (uint32_t i = 1; i < g->runs.waiting_count; i++)
        if (run_is_earlier(g->runs.waiting[i], g->runs.waiting[first]))
            first = i;
    struct run *run = g->runs.waiting[first];
    /* joins are few, and a thread that was joined is in nobody's way */
    uint64_t until =
        run->head.time + (run->head.op == TRACE_JOIN ? g->slack_ticks : g->patience_ticks);
    if (g->runs.heap_count > 0 && runs_first(&g->runs)->head.time <= until)
        return false;
    run->gave_up = true;
    runs_resume(&g->runs, first);
    return true;
}

/* Another block may hold what belongs before the earliest entry. */
static bool wants_block(const struct gather *g)
{
    if (runs_are_full(&g->runs))
        return false;
    return g->runs.heap_count == 0 ||
           runs_first(&g->runs)->head.time + g->slack_ticks >= g->runs.newer.time_end;
}

enum gather_next gather_next(struct gather *g, bool last, struct trace_event *event,
                             const char **reason)
{
    while (g->taken == g->queued) {
        g->taken = g->queued = 0;
        bool at_end = last && runs_are_over(&g->runs);
        if (!at_end && (runs_are_over(&g->runs) || (!last && wants_block(g))))
            return GATHER_BLOCK;
        if (give_up(g))
            continue;
        *reason = NULL;
        if (give_up_owed(g, at_end, reason)) {
            if (*reason != NULL)
                return GATHER_ERROR;
            continue;
        }
        if (at_end)
            return GATHER_BLOCK;
        struct run *run = runs_first(&g->runs);
        if (g->runs.waiting_count < WAITING_MAX && comes_too_early(g, run)) {
            runs_set_aside(&g->runs);
            continue;
        }
        if (run->head.time > g->now)
            g->now = run->head.time;
        uint32_t thread = run->thread;
        struct entry entry = run->head;
        bool is_join = entry.op == TRACE_JOIN;
        *reason = is_join ? NULL : convert(g, thread, &entry);
        if (*reason == NULL && !runs_advance(&g->runs))
            *reason = not_encoded;
        if (*reason == NULL && is_join)
            *reason = convert(g, thread, &entry);
        if (g->runs.waiting_count > 0)
            wake(g, thread, &entry);
        if (*reason != NULL)
            return GATHER_ERROR;
    }
    *event = g->queue[g->taken++];
    return GATHER_EVENT;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct gather_counts gather_counts(const struct gather *g)
{
    return g->counts;
}

bool gather_is_full(const struct gather *g)
{
    return runs_are_full(&g->runs);
}

const char *gather_add(struct gather *g, const struct trace_block_header *block,
                       unsigned char *content)
{
    return runs_add(&g->runs, block, content);
}

int gather_open(struct gather **out, struct trace_rules *rules, uint32_t threads,
                uint64_t slack_ticks, uint64_t patience_ticks)
{
    struct gather *g = calloc(1, sizeof *g);
    if (g == NULL)
        return -ENOMEM;
    *g = (struct gather){.rules = rules,
                         .slack_ticks = slack_ticks,
                         .patience_ticks = patience_ticks};
    g->voices = calloc(threads, sizeof *g->voices);
    g->endings = calloc((size_t)1 << ENDINGS_LOG2, sizeof *g->endings);
    if (!runs_open(&g->runs, threads) || !owed_open(&g->owed) || g->voices == NULL ||
        g->endings == NULL) {
        gather_release(g);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < threads; i++)
        g->voices[i].realloc_slot = NO_SLOT;
    *out = g;
    return 0;
}

void gather_release(struct gather *g)
{
    runs_release(&g->runs);
    addresses_release(&g->addresses);
    owed_release(&g->owed);
    free(g->endings);
    free(g->voices);
    free(g);
}
