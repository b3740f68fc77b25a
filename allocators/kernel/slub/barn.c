#include "barn.h"

unsigned nr_barns = 1;

struct node_barn *barn_of(struct kmem_cache *s, int node)
{
    return &s->node[node]->barn[percpu_number() & (nr_barns - 1)];
}

static struct sheaf *pop(struct sheaf **list, unsigned *count, unsigned *idle)
{
    struct sheaf *sheaf = *list;

    if (sheaf) {
        *list = sheaf->next;
        __atomic_store_n(count, *count - 1, __ATOMIC_RELAXED); /* looked at without the lock, too */
        if (*count < *idle)
            *idle = *count;
    }
    return sheaf;
}

static void push(struct sheaf **list, unsigned *count, struct sheaf *sheaf)
{
    sheaf->next = *list;
    *list = sheaf;
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* Whether to look: the barn has a full sheaf for such a taker. Refusing wears off. */
static bool barn_serves(struct node_barn *barn, enum taker taker)
{
    unsigned full = __atomic_load_n(&barn->nr_full, __ATOMIC_RELAXED), wanted;

    if (taker != OTHER_CPU || full == 0)
        return full != 0;
    wanted = __atomic_load_n(&barn->wanted, __ATOMIC_RELAXED);
    if (full > wanted)
        return true;
    __atomic_store_n(&barn->wanted, wanted - 1, __ATOMIC_RELAXED);
    return false;
}

/*
 * What is wanted is how far its own CPUs draw on it. Of objects that share lines it is how often they come: what two
 * CPUs write side by side costs more than so little memory.
 */
static void note_drawn(struct kmem_cache *s, struct node_barn *barn)
{
    unsigned wanted = __atomic_load_n(&barn->wanted, __ATOMIC_RELAXED), now;

    barn->drawn++;
    now = s->size <= BARN_LINE ? wanted + 1 : barn->drawn;
    if (now > s->barn_max / 2)
        now = s->barn_max / 2;
    if (now > wanted)
        __atomic_store_n(&barn->wanted, now, __ATOMIC_RELAXED);
}

/* A full sheaf for an empty one, which may be NULL; NULL: there is none, and `empty` stays. */
static struct sheaf *barn_get_full(struct kmem_cache *s, struct node_barn *barn, enum taker taker,
                                   struct sheaf **empty)
{
    struct sheaf *full;

    if (!barn_serves(barn, taker))
        return NULL;
    if (!lock_take_soon_here(&barn->lock))
        return NULL;
    full = pop(&barn->sheaves_full, &barn->nr_full, &barn->idle_full);
    if (full && *empty && barn->nr_empty < s->barn_max && !sheaf_outgrown(s, *empty)) {
        push(&barn->sheaves_empty, &barn->nr_empty, *empty);
        *empty = NULL;
    }
    if (full && taker == OWN_CPU)
        note_drawn(s, barn);
    lock_drop(&barn->lock);
    return full;
}

struct sheaf *barn_get_full_of_node(struct kmem_cache *s, int node, enum taker others,
                                    struct sheaf **empty)
{
    unsigned first = percpu_number();
    struct sheaf *full = NULL;

    for (unsigned i = 0; i < nr_barns && !full; i++)
        full = barn_get_full(s, &s->node[node]->barn[(first + i) & (nr_barns - 1)],
                             i ? others : OWN_CPU, empty);
    stat(s, full ? BARN_GET : BARN_GET_FAIL);
    return full;
}

/* False: no room. */
static bool barn_put_full(struct kmem_cache *s, struct node_barn *barn, struct sheaf *full)
{
    bool room;

    lock_take_here(&barn->lock);
    room = barn->nr_full < s->barn_max;
    if (room)
        push(&barn->sheaves_full, &barn->nr_full, full);
    if (barn->drawn)
        barn->drawn--;
    lock_drop(&barn->lock);
    stat(s, room ? BARN_PUT : BARN_PUT_FAIL);
    return room;
}

struct sheaf *barn_get_empty(struct node_barn *barn)
{
    struct sheaf *empty;

    if (!__atomic_load_n(&barn->nr_empty, __ATOMIC_RELAXED))
        return NULL;
    lock_take_here(&barn->lock);
    empty = pop(&barn->sheaves_empty, &barn->nr_empty, &barn->idle_empty);
    lock_drop(&barn->lock);
    return empty;
}

static void barn_put_empty(struct kmem_cache *s, struct node_barn *barn, struct sheaf *empty)
{
    bool room;

    lock_take_here(&barn->lock);
    room = barn->nr_empty < s->barn_max && !sheaf_outgrown(s, empty);
    if (room)
        push(&barn->sheaves_empty, &barn->nr_empty, empty);
    lock_drop(&barn->lock);
    if (!room)
        sheaf_destroy(s, empty);
}

void barn_put(struct kmem_cache *s, struct sheaf *sheaf)
{
    struct node_barn *barn = barn_of(s, percpu_node());

    if (sheaf->size && barn_put_full(s, barn, sheaf))
        return;
    if (sheaf->size)
        sheaf_empty(s, sheaf);
    barn_put_empty(s, barn, sheaf);
}

/* Takes the `n` sheaves that were put there first off a list. */
static struct sheaf *cut(struct sheaf **list, unsigned *count, unsigned n)
{
    struct sheaf *tail;

    for (unsigned left = *count - n; left > 0; left--)
        list = &(*list)->next;
    tail = *list;
    *list = NULL;
    __atomic_store_n(count, *count - n, __ATOMIC_RELAXED);
    return tail;
}

enum whose_sheaves { ALL_SHEAVES, IDLE_SHEAVES };

static void flush_one(struct kmem_cache *s, struct node_barn *barn, enum whose_sheaves whose)
{
    bool all = whose == ALL_SHEAVES;
    struct sheaf *full, *empty, *next;

    lock_take_here(&barn->lock);
    full = cut(&barn->sheaves_full, &barn->nr_full, all ? barn->nr_full : barn->idle_full);
    empty = cut(&barn->sheaves_empty, &barn->nr_empty, all ? barn->nr_empty : barn->idle_empty);
    barn->idle_full = barn->nr_full;
    barn->idle_empty = barn->nr_empty;
    barn->drawn = 0; /* or else what is kept for good would count for ever */
    lock_drop(&barn->lock);
    for (; full; full = next) {
        next = full->next;
        sheaf_empty(s, full);
        sheaf_destroy(s, full);
    }
    for (; empty; empty = next) {
        next = empty->next;
        sheaf_destroy(s, empty);
    }
}

void barn_flush(struct kmem_cache *s, struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        flush_one(s, &n->barn[i], ALL_SHEAVES);
}

void barn_flush_idle(struct kmem_cache *s, struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        if (__atomic_load_n(&n->barn[i].nr_full, __ATOMIC_RELAXED) ||
            __atomic_load_n(&n->barn[i].nr_empty, __ATOMIC_RELAXED))
            flush_one(s, &n->barn[i], IDLE_SHEAVES);
}
