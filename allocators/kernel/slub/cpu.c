/*
 * The classic CPU slab (sheaves=0). A CPU has a frozen slab, its objects on a list that only this CPU
 * takes from and puts to, and a list of more frozen slabs. Another thread of the CPU may come in
 * between any two operations on the cells, so what is taken out is private, and what an operation
 * gives back in exchange must be looked after.
 */
#include "cpu.h"

#include "fault.h"
#include "frozen.h"
#include "link.h"
#include "slab.h"

#define PAIR_CELL(s)    PERCPU_SLOW_CELL((s)->index)
#define PARTIAL_CELL(s) (PERCPU_SLOW_CELL((s)->index) + offsetof(struct kmem_cache_cpu, partial))

/* Every slab of the list has to go to its node. */
static void thaw_list(struct kmem_cache *s, struct slab *slab)
{
    while (slab) {
        struct slab *next = slab->next;

        thaw_slab(s, slab, NULL);
        slab = next;
    }
}

/* `list` becomes the CPU's partial list; what was put there meanwhile goes to the node. */
static void put_partial(struct kmem_cache *s, struct slab *list)
{
    void *old = list;

    if (!percpu_exchange(PARTIAL_CELL(s), list, &old) || old)
        thaw_list(s, old);
}

/* A slab just frozen by a free: in front of the CPU's partial list, or instead of it if that is long. */
static void add_partial(struct kmem_cache *s, struct slab *slab)
{
    void *old = NULL;

    if (!percpu_exchange(PARTIAL_CELL(s), NULL, &old)) {
        thaw_slab(s, slab, NULL);
        return;
    }
    stat(s, CPU_PARTIAL_FREE);
    if (old && ((struct slab *)old)->slabs >= s->cpu_partial_slabs) {
        stat(s, CPU_PARTIAL_DRAIN);
        thaw_list(s, old);
        old = NULL;
    }
    slab->next = old;
    slab->slabs = old ? ((struct slab *)old)->slabs + 1 : 1;
    put_partial(s, slab);
}

/* The first slab of the CPU's partial list that has objects. */
static struct slab *from_partial(struct kmem_cache *s, void **freelist)
{
    struct slab *slab;
    void *list = NULL;

    if (!percpu_exchange(PARTIAL_CELL(s), NULL, &list))
        return NULL;
    while ((slab = list) != NULL) {
        list = slab->next;
        *freelist = refill_frozen(s, slab);
        if (*freelist) {
            stat(s, CPU_PARTIAL_ALLOC);
            break;
        }
    }
    if (list)
        put_partial(s, list);
    return slab;
}

/* The slab becomes the CPU's; the one that was it is sent home. */
static void install(struct kmem_cache *s, struct slab *slab, void *freelist)
{
    struct cpu_pair old;

    if (!percpu_swap(PAIR_CELL(s), (struct cpu_pair){freelist, slab}, &old))
        thaw_slab(s, slab, freelist);
    else if (old.second)
        thaw_slab(s, old.second, old.first);
}

/* The kernel's order: the CPU's slab, its partial list, the node's, other nodes', new pages. */
static struct slab *find_slab(struct kmem_cache *s, gfp_t gfp, void **freelist)
{
    struct slab *slab, *more = NULL;
    struct cpu_pair old;

    if (!percpu_swap(PAIR_CELL(s), (struct cpu_pair){NULL, NULL}, &old))
        return NULL;
    slab = old.second;
    *freelist = old.first;
    if (slab && !*freelist)
        *freelist = refill_frozen(s, slab);
    if (slab && *freelist)
        return slab;
    slab = from_partial(s, freelist);
    if (!slab)
        slab = freeze_slab(s, gfp, percpu_node(), freelist, &more);
    if (more)
        put_partial(s, more);
    return slab;
}

static bool may_find_slab(struct kmem_cache *s, gfp_t gfp)
{
    return !keeps_nothing() && percpu_ready(gfp) && may_put_back(s);
}

/* Where only this node will do, another node's slab would be in the way for as long as it has objects. */
static void send_stranger_home(struct kmem_cache *s)
{
    struct slab *slab = percpu_peek(PAIR_CELL(s) + offsetof(struct cpu_pair, second));
    struct cpu_pair old;

    if (slab && slab_nid(slab) != percpu_node() &&
        percpu_swap(PAIR_CELL(s), (struct cpu_pair){NULL, NULL}, &old) && old.second)
        thaw_slab(s, old.second, old.first);
}

void *cpu_alloc(struct kmem_cache *s, gfp_t gfp)
{
    void *object, *freelist;
    struct slab *slab;

    if (gfp & __GFP_THISNODE && may_put_back(s))
        send_stranger_home(s);
    object = percpu_list_take(PAIR_CELL(s), s->offset, s->random);
    if (object) {
        stat(s, ALLOC_FASTPATH);
        return object;
    }
    slab = may_find_slab(s, gfp) ? find_slab(s, gfp, &freelist) : NULL;
    if (!slab)
        return slab_alloc_direct(s, gfp, percpu_node());
    stat(s, ALLOC_SLOWPATH);
    object = freelist;
    install(s, slab, get_link(s, object));
    note_idle();
    return object;
}

void cpu_free(struct kmem_cache *s, struct slab *slab, void *object)
{
    if (percpu_list_put(PAIR_CELL(s), slab, object, s->offset, s->random)) {
        stat(s, FREE_FASTPATH);
        return;
    }
    stat(s, FREE_SLOWPATH);
    /* Refused because it is the first of the list? Nobody who owns it can see it there. */
    if (unlikely(percpu_peek(PAIR_CELL(s)) == object))
        fault(FREED_BEFORE, object);
    if (free_to_slab(s, slab, object, s->cpu_partial_slabs > 0 && !keeps_nothing())) {
        add_partial(s, slab);
        note_idle();
    }
}

void cpu_flush_cell(struct kmem_cache *s, struct kmem_cache_cpu *c)
{
    struct slab *slab = c->slab, *partial = c->partial;
    void *freelist = c->freelist;

    c->freelist = NULL;
    c->slab = NULL;
    c->partial = NULL;
    if (slab)
        thaw_slab(s, slab, freelist);
    thaw_list(s, partial);
}
