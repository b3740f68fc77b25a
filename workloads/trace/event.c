#include "workloads/trace/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum trace_thread_state { SEEN = 1, SPAWNED = 2, JOINED = 4 };

#define NO_SLOT UINT32_MAX

int trace_rules_init(struct trace_rules *rules, uint32_t thread_count)
{
    memset(rules, 0, sizeof *rules);
    rules->vacant = NO_SLOT;
    rules->thread_count = thread_count;
    rules->threads = calloc(thread_count, 1);
    return rules->threads != NULL ? 0 : -ENOMEM;
}

void trace_rules_release(struct trace_rules *rules)
{
    free(rules->slots);
    free(rules->threads);
    memset(rules, 0, sizeof *rules);
}

/* The file decides how many slots there are: half of the machine's memory is where it ends. */
static uint64_t slots_max(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t slots = memory / 2 / sizeof(struct trace_slot);
    return slots < NO_SLOT ? slots : NO_SLOT - 1;
}

static const char *grow(struct trace_rules *rules)
{
    uint64_t capacity = rules->slot_capacity ? rules->slot_capacity * 2ull : 1024;
    struct trace_slot *slots = NULL;
    if (capacity <= slots_max())
        slots = realloc(rules->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return "more objects are live at one time than this machine has memory for";
    rules->slots = slots;
    rules->slot_capacity = (uint32_t)capacity;
    return NULL;
}

static const char *check_thread(const struct trace_rules *rules, uint32_t thread)
{
    if (thread >= rules->thread_count)
        return "a thread number is out of range";
    if (rules->threads[thread] & JOINED)
        return "a thread goes on after it was joined";
    return NULL;
}

static const char *check_other(const struct trace_rules *rules, const struct trace_event *event)
{
    if (event->other == event->thread)
        return "a thread starts or joins itself";
    const char *reason = check_thread(rules, event->other);
    if (reason != NULL)
        return reason;
    if (event->op == TRACE_SPAWN && rules->threads[event->other] != 0)
        return "a thread is started that is already running";
    return NULL;
}

static const char *check_allocation(const struct trace_rules *rules,
                                    const struct trace_event *event)
{
    if (event->size > TRACE_SIZE_MAX)
        return "a size is above 2^57";
    if (rules->live_bytes + event->size > TRACE_SIZE_MAX)
        return "the live bytes exceed 2^57";
    if (event->op == TRACE_REALLOC && event->size == 0)
        return "a realloc has size 0";
    if (event->op == TRACE_ALIGNED && event->alignment_log2 > TRACE_ALIGNMENT_LOG2_MAX)
        return "an alignment is above 2^47";
    return NULL;
}

static const char *check(const struct trace_rules *rules, const struct trace_event *event)
{
    const char *reason = check_thread(rules, event->thread);
    if (reason == NULL && event->time < rules->time)
        reason = "time runs backwards";
    if (reason == NULL && (event->op < TRACE_MALLOC || event->op >= TRACE_OP_COUNT))
        reason = "an operation is unknown";
    if (reason == NULL && (event->op == TRACE_SPAWN || event->op == TRACE_JOIN))
        reason = check_other(rules, event);
    if (reason == NULL && trace_allocates(event->op))
        reason = check_allocation(rules, event);
    if (reason == NULL && trace_ends(event->op) &&
        (event->slot >= rules->slot_count || !rules->slots[event->slot].live))
        reason = "an object is ended that does not live: a double free, or never allocated";
    return reason;
}

static void end_object(struct trace_rules *rules, struct trace_event *event)
{
    struct trace_slot *slot = &rules->slots[event->slot];
    event->ended_object = slot->object;
    event->ended_size = slot->size;
    event->ended_owner = slot->owner;
    rules->live_bytes -= slot->size;
    rules->live_objects--;
    slot->live = false;
}

static const char *take_slot(struct trace_rules *rules, uint32_t *slot)
{
    if (rules->vacant != NO_SLOT) {
        *slot = rules->vacant;
        rules->vacant = rules->slots[*slot].next_vacant;
        return NULL;
    }
    if (rules->slot_count == rules->slot_capacity) {
        const char *reason = grow(rules);
        if (reason != NULL)
            return reason;
    }
    *slot = rules->slot_count++;
    return NULL;
}

static void begin_object(struct trace_rules *rules, struct trace_event *event)
{
    event->object = rules->objects++;
    rules->slots[event->slot] = (struct trace_slot){.size = event->size,
                                                    .object = event->object,
                                                    .owner = event->thread,
                                                    .live = true};
    rules->live_objects++;
    rules->live_bytes += event->size;
    if (rules->live_bytes > rules->live_bytes_peak)
        rules->live_bytes_peak = rules->live_bytes;
}

const char *trace_rules_apply(struct trace_rules *rules, struct trace_event *event)
{
    const char *reason = check(rules, event);
    if (reason == NULL && trace_allocates(event->op) && event->op != TRACE_REALLOC)
        reason = take_slot(rules, &event->slot);
    if (reason != NULL)
        return reason;

    rules->events++;
    rules->time = event->time;
    rules->threads[event->thread] |= SEEN;
    if (event->op == TRACE_SPAWN)
        rules->threads[event->other] |= SPAWNED;
    if (event->op == TRACE_JOIN)
        rules->threads[event->other] |= JOINED;
    if (trace_ends(event->op))
        end_object(rules, event);
    if (trace_allocates(event->op))
        begin_object(rules, event);
    if (event->op == TRACE_FREE) {
        rules->slots[event->slot].next_vacant = rules->vacant;
        rules->vacant = event->slot;
    }
    return NULL;
}
