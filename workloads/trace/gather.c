#include "workloads/trace/gather.h"

#include "workloads/trace/addresses.h"
#include "workloads/trace/varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

static const char no_memory[] = "it needs more memory to read than there is";
static const char not_encoded[] = "it is not encoded as an event";

/* What a thread did, once. */
struct entry {
    unsigned op, alignment_log2;
    uint32_t other;
    bool on_new_cpu;
    uint32_t cpu, node, stack_depth;
    uint64_t time, address, size;
};

/* A thread's part of a block. */
struct run {
    struct run *next; /* the same thread's part of the next block */
    uint32_t thread, left;
    bool retried;
    uint64_t time, address;
    struct entry head;
    struct varint_span columns[TRACE_COLUMNS];
};

/* One thread of the trace, from block to block. */
struct voice {
    struct run *run;       /* that is being read; NULL: none is left */
    struct run *last_run;  /* its last one so far */
    uint32_t parent;       /* that started it, plus 1 */
    uint32_t realloc_slot; /* between a realloc's BEGIN and its END: the object's */
    uint64_t realloc_address;
    bool seen, joined;
    uint64_t *stack; /* of `run`'s head */
};

struct group {
    unsigned char *content;
    struct run *runs;
    uint32_t run_count, runs_left;
    uint64_t time_end;
};

enum { QUEUE = 4 }; /* a spawn, a lost free, and the event itself */

struct gather {
    struct trace_rules *rules;
    struct addresses addresses;
    struct voice *voices;
    uint32_t threads;
    uint64_t slack_ticks, now;
    struct gather_counts counts;
    struct group older, newer;
    struct run **heap; /* of one run a thread, the earliest head on top */
    uint32_t heap_count;
    struct trace_event queue[QUEUE];
    unsigned queued, taken;
    uint64_t stack[TRACE_STACK_MAX]; /* of the one in the queue that has one */
};

/* ---- decoding -------------------------------------------------------------------------------- */

static bool decode_address(struct run *run, bool odd, uint64_t *address)
{
    struct varint_span *span = &run->columns[COLUMN_OBJECT];
    uint64_t delta;
    if (!varint_get(span, &delta))
        return false;
    *address = ((run->address >> 4) + (uint64_t)trace_unzigzag(delta)) << 4;
    if (odd) {
        if (span->at == span->end || *span->at > 15)
            return false;
        *address |= *span->at++;
    }
    run->address = *address;
    return *address != 0;
}

static bool decode_stack(struct gather *g, struct run *run)
{
    struct entry *entry = &run->head;
    struct varint_span *span = &run->columns[COLUMN_EXTRA];
    struct voice *voice = &g->voices[run->thread];
    if (!varint_get32(span, &entry->stack_depth) || entry->stack_depth == 0 ||
        entry->stack_depth > TRACE_STACK_MAX)
        return false;
    if (voice->stack == NULL)
        voice->stack = malloc(TRACE_STACK_MAX * sizeof *voice->stack);
    for (uint32_t i = 0; i < entry->stack_depth; i++)
        if (voice->stack == NULL || !varint_get(span, &voice->stack[i]))
            return false;
    return true;
}

static bool decode_extra(struct gather *g, struct run *run, uint64_t byte)
{
    struct entry *entry = &run->head;
    struct varint_span *span = &run->columns[COLUMN_EXTRA];
    entry->on_new_cpu = (byte & OP_CPU) != 0;
    if (entry->on_new_cpu &&
        (!varint_get32(span, &entry->cpu) || !varint_get32(span, &entry->node)))
        return false;
    if (!(byte & OP_STACK))
        return true;
    return trace_allocates((enum trace_op)entry->op) && decode_stack(g, run);
}

static bool has_address(unsigned op)
{
    return (op >= TRACE_MALLOC && op <= TRACE_FREE) || op == RECORDED_REALLOC_BEGIN;
}

static bool decode(struct gather *g, struct run *run)
{
    struct entry *entry = &run->head;
    uint64_t byte, delta;
    *entry = (struct entry){0};
    if (!varint_get(&run->columns[COLUMN_OP], &byte) || byte > 255 || (byte & OP_MOVED) ||
        !varint_get(&run->columns[COLUMN_TIME], &delta) ||
        __builtin_add_overflow(run->time, delta, &run->time))
        return false;
    entry->op = byte & OP_MASK;
    entry->time = run->time;
    if (has_address(entry->op)) {
        if (!decode_address(run, byte & OP_ODD_ADDRESS, &entry->address))
            return false;
    } else if ((entry->op != TRACE_JOIN && entry->op != RECORDED_REALLOC_FAILED) ||
               (byte & OP_ODD_ADDRESS))
        return false;
    if (entry->op == TRACE_JOIN &&
        (!varint_get32(&run->columns[COLUMN_OBJECT], &entry->other) || entry->other >= g->threads))
        return false;
    if (trace_allocates((enum trace_op)entry->op) &&
        !varint_get(&run->columns[COLUMN_SIZE], &entry->size))
        return false;
    if (entry->op == TRACE_ALIGNED &&
        !varint_get32(&run->columns[COLUMN_SIZE], &entry->alignment_log2))
        return false;
    return (byte & (OP_CPU | OP_STACK)) == 0 || decode_extra(g, run, byte);
}

/* ---- the heap of runs ------------------------------------------------------------------------ */

static bool earlier(const struct run *a, const struct run *b)
{
    return a->head.time != b->head.time ? a->head.time < b->head.time : a->thread < b->thread;
}

static void sift_down(struct gather *g, uint32_t at)
{
    struct run *run = g->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= g->heap_count)
            break;
        if (child + 1 < g->heap_count && earlier(g->heap[child + 1], g->heap[child]))
            child++;
        if (!earlier(g->heap[child], run))
            break;
        g->heap[at] = g->heap[child];
        at = child;
    }
    g->heap[at] = run;
}

static void push(struct gather *g, struct run *run)
{
    uint32_t at = g->heap_count++;
    for (; at > 0 && earlier(run, g->heap[(at - 1) / 2]); at = (at - 1) / 2)
        g->heap[at] = g->heap[(at - 1) / 2];
    g->heap[at] = run;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void release_group(struct group *group)
{
    free(group->content);
    free(group->runs);
    *group = (struct group){0};
}

bool gather_is_full(const struct gather *g)
{
    return g->older.runs_left > 0;
}

static bool take_span(struct varint_span *column, struct varint_span *part, uint64_t bytes)
{
    if (bytes > (uint64_t)(column->end - column->at))
        return false;
    *part = (struct varint_span){column->at, column->at + bytes};
    column->at += bytes;
    return true;
}

static bool read_run(struct gather *g, struct run *run, struct varint_span columns[TRACE_COLUMNS],
                     uint64_t time)
{
    struct varint_span *table = &columns[COLUMN_RUN];
    uint64_t number, bytes;
    *run = (struct run){.time = time};
    if (!varint_get(table, &number) || number >> 1 >= g->threads)
        return false;
    run->thread = (uint32_t)(number >> 1);
    if ((number & 1) && (!varint_get32(table, &g->voices[run->thread].parent) ||
                         g->voices[run->thread].parent > g->threads))
        return false;
    if (!varint_get32(table, &run->left) || run->left == 0)
        return false;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (i != COLUMN_RUN &&
            (!varint_get(table, &bytes) || !take_span(&columns[i], &run->columns[i], bytes)))
            return false;
    return true;
}

static uint32_t count_runs(struct gather *g, struct varint_span columns[TRACE_COLUMNS])
{
    struct varint_span copy[TRACE_COLUMNS];
    memcpy(copy, columns, sizeof copy);
    uint32_t count = 0;
    for (struct run run; copy[COLUMN_RUN].at < copy[COLUMN_RUN].end; count++)
        if (!read_run(g, &run, copy, 0))
            return 0;
    return count;
}

/* Each thread once, all entries, all bytes. */
static const char *read_runs(struct gather *g, struct group *group,
                             const struct trace_block_header *block)
{
    struct varint_span columns[TRACE_COLUMNS];
    const unsigned char *at = group->content;
    for (int i = 0; i < TRACE_COLUMNS; at += block->column_bytes[i], i++)
        columns[i] = (struct varint_span){at, at + block->column_bytes[i]};
    group->run_count = count_runs(g, columns);
    group->runs = calloc(group->run_count + 1u, sizeof *group->runs);
    if (group->runs == NULL)
        return no_memory;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < group->run_count; i++) {
        struct run *run = &group->runs[i];
        read_run(g, run, columns, block->time_first);
        entries += run->left;
        if (i > 0 && run->thread <= group->runs[i - 1].thread)
            return "the block's threads are out of order";
    }
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (columns[i].at != columns[i].end)
            return "the block's threads do not fill it";
    return entries == block->events ? NULL : "the block's threads do not fill it";
}

/* The run's first entry takes its place among the others. */
static bool enter(struct gather *g, struct run *run)
{
    g->voices[run->thread].run = run;
    if (!decode(g, run))
        return false;
    push(g, run);
    return true;
}

const char *gather_add(struct gather *g, const struct trace_block_header *block,
                       unsigned char *content)
{
    release_group(&g->older);
    g->older = g->newer;
    g->newer = (struct group){.content = content, .time_end = block->time_end};
    const char *reason = read_runs(g, &g->newer, block);
    if (reason != NULL)
        return reason;
    g->newer.runs_left = g->newer.run_count;
    for (uint32_t i = 0; i < g->newer.run_count; i++) {
        struct run *run = &g->newer.runs[i];
        struct voice *voice = &g->voices[run->thread];
        if (voice->run != NULL)
            voice->last_run->next = run;
        voice->last_run = run;
        if (voice->run == NULL && !enter(g, run))
            return not_encoded;
    }
    return NULL;
}

/* The top run's next entry; when it is over, the same thread's next run. */
static bool advance(struct gather *g)
{
    struct run *run = g->heap[0];
    run->retried = false;
    if (--run->left > 0) {
        if (!decode(g, run))
            return false;
        if (g->heap_count > 1)
            sift_down(g, 0);
        return true;
    }
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (run->columns[i].at != run->columns[i].end)
            return false;
    struct group *group =
        run >= g->newer.runs && run < g->newer.runs + g->newer.run_count ? &g->newer : &g->older;
    group->runs_left--;
    struct run *next = run->next;
    g->voices[run->thread].run = next;
    g->heap[0] = g->heap[--g->heap_count];
    if (g->heap_count > 1)
        sift_down(g, 0);
    return next == NULL || enter(g, next);
}

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
    uint32_t parent = voice->parent;
    if (voice->seen)
        return NULL;
    voice->seen = true;
    if (parent == 0 || parent - 1 == thread || g->voices[parent - 1].joined)
        return NULL;
    /* a parent that has done nothing else stands without a start of its own */
    g->voices[parent - 1].seen = true;
    return emit(g, (struct trace_event){.op = TRACE_SPAWN, .thread = parent - 1, .other = thread});
}

/* An address is handed out that still lives: its free was never seen. It is freed now, at last. */
static const char *make_room(struct gather *g, uint32_t thread, uint64_t address)
{
    uint32_t slot;
    if (!addresses_take(&g->addresses, address, &slot))
        return NULL;
    g->counts.lost_frees++;
    return emit(g, (struct trace_event){.op = TRACE_FREE, .thread = thread, .slot = slot});
}

static struct trace_event describe(struct gather *g, uint32_t thread, const struct entry *entry)
{
    if (entry->stack_depth > 0)
        memcpy(g->stack, g->voices[thread].stack, entry->stack_depth * sizeof *g->stack);
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
    if (addresses_take(&g->addresses, entry->address, &event.slot))
        return emit(g, event);
    g->counts.unknown_frees++;
    return NULL;
}

/* From here on the old address may be handed out to others. */
static const char *begin_realloc(struct gather *g, uint32_t thread, const struct entry *entry)
{
    struct voice *voice = &g->voices[thread];
    voice->realloc_slot = NO_SLOT;
    voice->realloc_address = entry->address;
    addresses_take(&g->addresses, entry->address, &voice->realloc_slot);
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
    if (entry->other == thread || !child->seen || child->joined || child->run != NULL)
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

/* True when another thread's entry that reads a little later may belong before this one. */
static bool comes_too_early(const struct gather *g, const struct run *run)
{
    const struct entry *entry = &run->head;
    if (g->heap_count == 1 || run->retried)
        return false; /* there is no other thread to wait for */
    switch (entry->op) {
    case TRACE_FREE:
    case RECORDED_REALLOC_BEGIN: return !addresses_has(&g->addresses, entry->address);
    case TRACE_JOIN: return g->voices[entry->other].run != NULL;
    case RECORDED_REALLOC_FAILED: return false;
    default: return addresses_has(&g->addresses, entry->address);
    }
}

static void delay(struct gather *g, struct run *run)
{
    run->retried = true;
    run->head.time += g->slack_ticks; /* the thread's later ones count from where it was read */
    sift_down(g, 0);
}

/* Another block may hold what belongs before the earliest entry. */
static bool wants_block(const struct gather *g)
{
    if (g->heap_count == 0)
        return true;
    return !gather_is_full(g) && g->heap[0]->head.time + g->slack_ticks >= g->newer.time_end;
}

enum gather_next gather_next(struct gather *g, bool last, struct trace_event *event,
                             const char **reason)
{
    while (g->taken == g->queued) {
        g->taken = g->queued = 0;
        if (g->heap_count == 0 || (!last && wants_block(g)))
            return GATHER_BLOCK;
        struct run *run = g->heap[0];
        if (comes_too_early(g, run)) {
            delay(g, run);
            continue;
        }
        if (run->head.time > g->now)
            g->now = run->head.time;
        uint32_t thread = run->thread;
        struct entry entry = run->head;
        bool is_join = entry.op == TRACE_JOIN;
        *reason = is_join ? NULL : convert(g, thread, &entry);
        if (*reason == NULL && !advance(g))
            *reason = not_encoded;
        if (*reason == NULL && is_join)
            *reason = convert(g, thread, &entry);
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

int gather_open(struct gather **out, struct trace_rules *rules, uint32_t threads,
                uint64_t slack_ticks)
{
    struct gather *g = calloc(1, sizeof *g);
    if (g == NULL)
        return -ENOMEM;
    *g = (struct gather){.rules = rules, .threads = threads, .slack_ticks = slack_ticks};
    g->voices = calloc(threads, sizeof *g->voices);
    g->heap = calloc(threads, sizeof *g->heap);
    if (g->voices == NULL || g->heap == NULL) {
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
    for (uint32_t i = 0; g->voices != NULL && i < g->threads; i++)
        free(g->voices[i].stack);
    release_group(&g->older);
    release_group(&g->newer);
    addresses_release(&g->addresses);
    free(g->voices);
    free(g->heap);
    free(g);
}
