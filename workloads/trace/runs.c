#include "workloads/trace/runs.h"

#include "workloads/trace/event.h"

#include <stdlib.h>
#include <string.h>

static const char no_memory[] = "it needs more memory to read than there is";
static const char not_encoded[] = "it is not encoded as an event";

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

static bool decode_stack(struct runs *r, struct run *run)
{
    struct entry *entry = &run->head;
    struct varint_span *span = &run->columns[COLUMN_EXTRA];
    struct thread_runs *thread = &r->threads[run->thread];
    if (!varint_get32(span, &entry->stack_depth) || entry->stack_depth == 0 ||
        entry->stack_depth > TRACE_STACK_MAX)
        return false;
    if (thread->stack == NULL)
        thread->stack = malloc(TRACE_STACK_MAX * sizeof *thread->stack);
    for (uint32_t i = 0; i < entry->stack_depth; i++)
        if (thread->stack == NULL || !varint_get(span, &thread->stack[i]))
            return false;
    return true;
}

static bool decode_extra(struct runs *r, struct run *run, uint64_t byte)
{
    struct entry *entry = &run->head;
    struct varint_span *span = &run->columns[COLUMN_EXTRA];
    entry->on_new_cpu = (byte & OP_CPU) != 0;
    if (entry->on_new_cpu &&
        (!varint_get32(span, &entry->cpu) || !varint_get32(span, &entry->node)))
        return false;
    if (!(byte & OP_STACK))
        return true;
    return trace_allocates((enum trace_op)entry->op) && decode_stack(r, run);
}

static bool has_address(unsigned op)
{
    return (op >= TRACE_MALLOC && op <= TRACE_FREE) || op == RECORDED_REALLOC_BEGIN;
}

static bool decode(struct runs *r, struct run *run)
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
    if (entry->op == TRACE_JOIN && (!varint_get32(&run->columns[COLUMN_OBJECT], &entry->other) ||
                                    entry->other >= r->thread_count))
        return false;
    if (trace_allocates((enum trace_op)entry->op) &&
        !varint_get(&run->columns[COLUMN_SIZE], &entry->size))
        return false;
    if (entry->op == TRACE_ALIGNED &&
        !varint_get32(&run->columns[COLUMN_SIZE], &entry->alignment_log2))
        return false;
    return (byte & (OP_CPU | OP_STACK)) == 0 || decode_extra(r, run, byte);
}

/* ---- the heap of runs ------------------------------------------------------------------------ */

bool run_is_earlier(const struct run *a, const struct run *b)
{
    return a->head.time != b->head.time ? a->head.time < b->head.time : a->thread < b->thread;
}

static void sift_down(struct runs *r, uint32_t at)
{
    struct run *run = r->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= r->heap_count)
            break;
        if (child + 1 < r->heap_count && run_is_earlier(r->heap[child + 1], r->heap[child]))
            child++;
        if (!run_is_earlier(r->heap[child], run))
            break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = run;
}

static void push(struct runs *r, struct run *run)
{
    uint32_t at = r->heap_count++;
    for (; at > 0 && run_is_earlier(run, r->heap[(at - 1) / 2]); at = (at - 1) / 2)
        r->heap[at] = r->heap[(at - 1) / 2];
    r->heap[at] = run;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void release_group(struct group *group)
{
    free(group->content);
    free(group->runs);
    *group = (struct group){0};
}

bool runs_are_full(const struct runs *r)
{
    return r->older.runs_left > 0;
}

static bool take_span(struct varint_span *column, struct varint_span *part, uint64_t bytes)
{
    if (bytes > (uint64_t)(column->end - column->at))
        return false;
    *part = (struct varint_span){column->at, column->at + bytes};
    column->at += bytes;
    return true;
}

static bool read_run(struct runs *r, struct run *run, struct varint_span columns[TRACE_COLUMNS],
                     uint64_t time)
{
    struct varint_span *table = &columns[COLUMN_RUN];
    uint64_t number, bytes;
    *run = (struct run){.time = time};
    if (!varint_get(table, &number) || number >> 1 >= r->thread_count)
        return false;
    run->thread = (uint32_t)(number >> 1);
    if ((number & 1) && (!varint_get32(table, &r->threads[run->thread].parent) ||
                         r->threads[run->thread].parent > r->thread_count))
        return false;
    if (!varint_get32(table, &run->left) || run->left == 0)
        return false;
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (i != COLUMN_RUN &&
            (!varint_get(table, &bytes) || !take_span(&columns[i], &run->columns[i], bytes)))
            return false;
    return true;
}

static uint32_t count_runs(struct runs *r, struct varint_span columns[TRACE_COLUMNS])
{
    struct varint_span copy[TRACE_COLUMNS];
    memcpy(copy, columns, sizeof copy);
    uint32_t count = 0;
    for (struct run run; copy[COLUMN_RUN].at < copy[COLUMN_RUN].end; count++)
        if (!read_run(r, &run, copy, 0))
            return 0;
    return count;
}

/* Each thread once, all entries, all bytes. */
static const char *read_runs(struct runs *r, struct group *group,
                             const struct trace_block_header *block)
{
    struct varint_span columns[TRACE_COLUMNS];
    const unsigned char *at = group->content;
    for (int i = 0; i < TRACE_COLUMNS; at += block->column_bytes[i], i++)
        columns[i] = (struct varint_span){at, at + block->column_bytes[i]};
    group->run_count = count_runs(r, columns);
    group->runs = calloc(group->run_count + 1u, sizeof *group->runs);
    if (group->runs == NULL)
        return no_memory;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < group->run_count; i++) {
        struct run *run = &group->runs[i];
        read_run(r, run, columns, block->time_first);
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
static bool enter(struct runs *r, struct run *run)
{
    r->threads[run->thread].run = run;
    if (!decode(r, run))
        return false;
    push(r, run);
    return true;
}

const char *runs_add(struct runs *r, const struct trace_block_header *block, unsigned char *content)
{
    release_group(&r->older);
    r->older = r->newer;
    r->newer = (struct group){.content = content, .time_end = block->time_end};
    const char *reason = read_runs(r, &r->newer, block);
    if (reason != NULL)
        return reason;
    r->newer.runs_left = r->newer.run_count;
    for (uint32_t i = 0; i < r->newer.run_count; i++) {
        struct run *run = &r->newer.runs[i];
        struct thread_runs *thread = &r->threads[run->thread];
        if (thread->run != NULL)
            thread->last_run->next = run;
        thread->last_run = run;
        if (thread->run == NULL && !enter(r, run))
            return not_encoded;
    }
    return NULL;
}

/* The top run's next entry; when it is over, the same thread's next run. */
bool runs_advance(struct runs *r)
{
    struct run *run = r->heap[0];
    run->gave_up = false;
    if (--run->left > 0) {
        if (!decode(r, run))
            return false;
        if (r->heap_count > 1)
            sift_down(r, 0);
        return true;
    }
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (run->columns[i].at != run->columns[i].end)
            return false;
    struct group *group =
        run >= r->newer.runs && run < r->newer.runs + r->newer.run_count ? &r->newer : &r->older;
    group->runs_left--;
    struct run *next = run->next;
    r->threads[run->thread].run = next;
    r->heap[0] = r->heap[--r->heap_count];
    if (r->heap_count > 1)
        sift_down(r, 0);
    return next == NULL || enter(r, next);
}

void runs_set_aside(struct runs *r)
{
    r->waiting[r->waiting_count++] = r->heap[0];
    r->heap[0] = r->heap[--r->heap_count];
    if (r->heap_count > 1)
        sift_down(r, 0);
}

void runs_resume(struct runs *r, uint32_t place)
{
    struct run *run = r->waiting[place];
    r->waiting[place] = r->waiting[--r->waiting_count];
    push(r, run);
}

/* ---- life ------------------------------------------------------------------------------------ */

bool runs_open(struct runs *r, uint32_t threads)
{
    r->thread_count = threads;
    r->threads = calloc(threads, sizeof *r->threads);
    r->heap = calloc(threads, sizeof(struct run *));
    r->waiting = calloc(threads, sizeof(struct run *));
    return r->threads != NULL && r->heap != NULL && r->waiting != NULL;
}

void runs_release(struct runs *r)
{
    for (uint32_t i = 0; r->threads != NULL && i < r->thread_count; i++)
        free(r->threads[i].stack);
    release_group(&r->older);
    release_group(&r->newer);
    free(r->threads);
    free(r->heap);
    free(r->waiting);
}
