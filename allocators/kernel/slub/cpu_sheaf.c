/*
 * A CPU has a main sheaf that malloc pops and free pushes, and a spare; a node has a barn of full and empty
 * ones. Full and empty sheaves change hands whole, one lock for all their objects.
 */
#include "cpu_sheaf.h"

#include <string.h>

#include "../page/tick.h"
#include "barn.h"
#include "fault.h"
#include "frozen.h"
#include "node.h"
#include "slab.h"

enum { TAKE_ALONG = 128 }; /* objects; or half a sheaf */

#define MAIN_CELL(s)  PERCPU_PAIR_CELL((s)->index)
#define SPARE_CELL(s) (PERCPU_SLOW_CELL((s)->index) + offsetof(struct kmem_cache_cpu, spare))

static struct sheaf *take_spare(struct kmem_cache *s)
{
    void *spare = NULL;

    return percpu_exchange(SPARE_CELL(s), NULL, &spare) ? spare : NULL;
}

static struct sheaf *take_main(struct kmem_cache *s)
{
    struct cpu_pair old, none = {PERCPU_NO_TOP, PERCPU_NO_TOP};

    return percpu_swap(MAIN_CELL(s), none, &old) ? sheaf_of_pair(old.first, old.second) : NULL;
}

/* The sheaf becomes the spare, unless it is empty and outgrown; what was it is put away. */
static void keep(struct kmem_cache *s, struct sheaf *sheaf)
{
    void *old = sheaf;

    if (sheaf->size == 0 && sheaf_outgrown(s, sheaf)) {
        sheaf_destroy(s, sheaf);
        return;
    }
    percpu_exchange(SPARE_CELL(s), sheaf, &old);
    if (old)
        barn_put(s, old);
}

/* The cheap half of finding double frees: the object is the last one that was freed. */
static void check_top(struct sheaf *sheaf, const void *object, gfp_t gfp)
{
    if (unlikely(sheaf->size && sheaf_slots(sheaf)[sheaf->size - 1] == object))
        fault(freed_before(gfp), object);
}

/* The sheaf becomes the main sheaf; the one that was it, the spare. `freed` lies on top of the new. */
static void install(struct kmem_cache *s, struct sheaf *sheaf, const void *freed, gfp_t gfp)
{
    struct cpu_pair old, pair = {sheaf_slots(sheaf) + sheaf->size, sheaf};
    struct sheaf *was;

    if (!percpu_swap(MAIN_CELL(s), pair, &old)) {
        barn_put(s, sheaf);
        return;
    }
    was = sheaf_of_pair(old.first, old.second);
    if (!was)
        return;
    check_top(was, freed, gfp);
    keep(s, was);
}

/* `empty`, which may be NULL, or a larger one in its place if it is outgrown and there is memory. */
static struct sheaf *grown_sheaf(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    struct sheaf *larger = empty && !sheaf_outgrown(s, empty) ? NULL : sheaf_new(s, gfp);

    if (!larger)
        return empty;
    if (empty)
        sheaf_destroy(s, empty);
    return larger;
}

/*
 * malloc asks for the lines of objects below the one it pops: those of a page that nobody has touched would cost
 * it many times what the rest does, for as long as their owners do not write to them. The lowest object is in that
 * page if any is: see slab_take().
 */
static void touch_lowest(const struct kmem_cache *s, gfp_t gfp, struct sheaf *sheaf)
{
    if (gfpflags_allow_blocking(gfp) && s->size <= SLAB_PAGEWISE_MAX)
        __atomic_fetch_or((char *)sheaf_slots(sheaf)[0], 0, __ATOMIC_RELAXED);
}

/* A sheaf with objects in it from the slabs, in place of `empty`, which may be NULL. */
static struct sheaf *refill(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    empty = grown_sheaf(s, gfp, empty);
    if (!empty)
        return NULL;
    empty->size = slabs_take(s, gfp, percpu_node(), empty->capacity, sheaf_slots(empty));
    stat_add(s, SHEAF_REFILL, empty->size);
    if (empty->size == empty->capacity)
        sheaves_grow(s, gfp);
    if (empty->size) {
        touch_lowest(s, gfp, empty);
        return empty;
    }
    keep(s, empty);
    return NULL;
}

/*
 * A sheaf with objects for `empty`, which may be NULL. What barns of other CPUs keep for themselves is
 * taken when there is nothing else.
 */
static struct sheaf *exchange_empty(struct kmem_cache *s, gfp_t gfp, struct sheaf *empty)
{
    struct sheaf *full = barn_get_full_of_node(s, percpu_node(), OTHER_CPU, &empty);

    if (full) {
        if (empty)
            sheaf_destroy(s, empty);
        return full;
    }
    full = refill(s, gfp, empty);
    empty = NULL; /* filled, or freed */
    return full ? full : barn_get_full_of_node(s, percpu_node(), LAST_RESORT, &empty);
}

static inline void tick_where(gfp_t gfp)
{
    if (gfpflags_allow_blocking(gfp))
        tick(TICK_SHEAVES);
}

void *sheaf_alloc(struct kmem_cache *s, gfp_t gfp)
{
    struct sheaf *sheaf, *full;
    void *object;

    if (keeps_nothing() || !percpu_ready(gfp))
        return slab_alloc_direct(s, gfp, percpu_node());
    sheaf = take_spare(s);
    if (sheaf && sheaf->size) {
        stat(s, SHEAF_SWAP);
        sheaves_grow(s, gfp);
        full = sheaf;
    } else {
        full = exchange_empty(s, gfp, sheaf);
    }
    if (!full)
        return slab_alloc_direct(s, gfp, percpu_node());
    stat(s, ALLOC_SLOWPATH);
    object = sheaf_slots(full)[--full->size];
    install(s, full, NULL, gfp);
    note_idle();
    tick_where(gfp);
    return object;
}

/*
 * An empty sheaf in exchange for `full`, which may be NULL. It is there before the full one goes to the
 * barn: without memory for one, all objects of a sheaf go to their slabs, and it serves again. Otherwise a
 * CPU could be left with a full main sheaf alone, and take the node's lock for each object. NULL: the CPU has
 * no sheaf at all, nor gets one.
 */
static struct sheaf *exchange_full(struct kmem_cache *s, struct sheaf *full, gfp_t gfp,
                                   const void *freed)
{
    struct sheaf *empty;

    if (full)
        sheaves_grow(s, gfp);
    empty = grown_sheaf(s, gfp, barn_get_empty(barn_of(s, percpu_node())));
    if (empty) {
        if (full)
            barn_put(s, full);
        return empty;
    }
    if (!full && (full = take_main(s)) == NULL)
        return NULL;
    check_top(full, freed, gfp);
    sheaf_empty(s, full);
    return full;
}

static unsigned along(const struct sheaf *spare)
{
    return spare->capacity / 2 < TAKE_ALONG ? spare->capacity / 2 : TAKE_ALONG;
}

/*
 * How many objects of a full main sheaf go along to the spare, which takes its place: half of them at most, but
 * of an outgrown one all that there is room for, besides the one that is freed.
 */
static unsigned how_many_along(const struct kmem_cache *s, const struct sheaf *main,
                               const struct sheaf *spare)
{
    unsigned wanted = along(spare), room = spare->capacity - spare->size - 1;

    if (sheaf_outgrown(s, main))
        return main->size < room ? main->size : room;
    return main->size / 2 < wanted ? main->size / 2 : wanted;
}

/*
 * The spare is about to become the main sheaf. Some of the objects that were freed last go along: where
 * allocations and frees go to and fro across the border of the two, there would be a swap for each otherwise.
 * Returns the main sheaf if it was taken for that, and is to be kept.
 */
static struct sheaf *take_along(struct kmem_cache *s, struct sheaf *spare, const void *freed,
                                gfp_t gfp)
{
    struct sheaf *main = spare->size < along(spare) ? take_main(s) : NULL;
    unsigned n;

    if (!main)
        return NULL;
    check_top(main, freed, gfp);
    n = how_many_along(s, main, spare);
    main->size -= n;
    memcpy(sheaf_slots(spare) + spare->size, sheaf_slots(main) + main->size, n * sizeof(void *));
    spare->size += n;
    return main;
}

void sheaf_free(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp)
{
    struct sheaf *sheaf, *main = NULL;

    stat(s, FREE_SLOWPATH);
    if (slab_nid(slab) != percpu_node() || keeps_nothing() || !percpu_ready(gfp)) {
        free_to_slab(s, slab, object, false);
        return;
    }
    sheaf = take_spare(s);
    if (sheaf)
        check_top(sheaf, object, gfp);
    if (sheaf && sheaf->size < sheaf->capacity) {
        stat(s, SHEAF_SWAP);
        main = take_along(s, sheaf, object, gfp);
    } else {
        sheaf = exchange_full(s, sheaf, gfp, object);
    }
    if (!sheaf) {
        free_to_slab(s, slab, object, false);
        return;
    }
    sheaf_slots(sheaf)[sheaf->size++] = object;
    install(s, sheaf, object, gfp);
    if (main)
        keep(s, main);
    note_idle();
    tick_where(gfp);
}

static void give_up(struct kmem_cache *s, struct sheaf *sheaf)
{
    if (!sheaf)
        return;
    sheaf_empty(s, sheaf);
    sheaf_destroy(s, sheaf);
}

void sheaf_flush_idle(struct kmem_cache *s)
{
    struct sheaf *main = take_main(s);

    if (!main)
        return;
    if (main->seen == main->size + 1) {
        give_up(s, main);
        give_up(s, take_spare(s));
    } else {
        main->seen = main->size + 1;
        install(s, main, NULL, GFP_KERNEL);
    }
}

void sheaf_flush_cell(struct kmem_cache *s, struct cpu_sheaf *cell, struct kmem_cache_cpu *c)
{
    struct sheaf *main = sheaf_of_pair(cell->top, cell->end), *spare = c->spare;

    cell->top = cell->end = PERCPU_NO_TOP;
    c->spare = NULL;
    give_up(s, main);
    give_up(s, spare);
}
