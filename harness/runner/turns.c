/*
 * Several trials in turn: see struct trial_gate for how a parent releases a child, and
 * docs/method.md for what it is good for. All but one of the processes sleep at any time.
 */
#include "runner/child.h"

#include "util/pool.h"

#include <errno.h>

/* What goes on, to keep argument lists short. */
struct table {
    const struct turn_group *group;
    struct child *children;
    uint32_t started; /* of them */
    uint32_t *order;  /* of seats, in the round */
    uint64_t rng, begin_ns;
    bool is_interrupted;
};

/* Lets one run until it waits or ends. */
static void run_one(struct table *table, uint32_t seat)
{
    if (child_watch(&table->children[seat]) == CHILD_INTERRUPTED)
        table->is_interrupted = true;
}

static int start_all(struct table *table, struct spawner *spawner)
{
    const struct turn_group *group = table->group;
    for (uint32_t seat = 0; seat < group->count && !table->is_interrupted; seat++) {
        int error = child_start(spawner, seat, &group->requests[seat], &table->children[seat]);
        if (error != 0)
            return error;
        table->started++;
        run_one(table, seat); /* sets up and warms up */
    }
    return 0;
}

static void shuffle(struct table *table)
{
    for (uint32_t i = table->group->count; i > 1; i--) {
        uint32_t j = (uint32_t)rng_below(&table->rng, i), other = table->order[j];
        table->order[j] = table->order[i - 1];
        table->order[i - 1] = other;
    }
}

static void run_round(struct table *table, uint32_t round)
{
    const struct turn_group *group = table->group;
    shuffle(table);
    for (uint32_t i = 0; i < group->count && !table->is_interrupted; i++) {
        uint32_t seat = table->order[i];
        if (table->children[seat].has_ended)
            continue;
        group->places[seat * group->turns + round] =
            (struct turn_place){.position = i,
                                .start_ns = clock_gettime_ns(CLOCK_MONOTONIC) - table->begin_ns};
        child_release(&table->children[seat]);
        run_one(table, seat);
    }
}

/* What comes behind the turns, each alone. */
static void finish_all(struct table *table)
{
    for (uint32_t seat = 0; seat < table->started && !table->is_interrupted; seat++) {
        if (table->children[seat].has_ended)
            continue;
        child_release(&table->children[seat]);
        run_one(table, seat);
    }
}

int spawner_run_turns(struct spawner *spawner, const struct turn_group *group)
{
    struct table table = {.group = group, .rng = group->seed};
    table.children = calloc(group->count, sizeof *table.children);
    table.order = calloc(group->count, sizeof *table.order);
    int result = table.children != NULL && table.order != NULL ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < group->count; i++)
        table.order[i] = i;
    if (result == 0)
        result = start_all(&table, spawner);
    table.begin_ns = clock_gettime_ns(CLOCK_MONOTONIC);
    for (uint32_t round = 0; result == 0 && round < group->turns && !table.is_interrupted; round++)
        run_round(&table, round);
    if (result == 0)
        finish_all(&table);
    if (table.is_interrupted)
        result = -EINTR;
    for (uint32_t seat = 0; seat < table.started; seat++)
        child_end(&table.children[seat], result == 0 ? &group->outcomes[seat] : NULL);
    free(table.children);
    free(table.order);
    return result;
}
