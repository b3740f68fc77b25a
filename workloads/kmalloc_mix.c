/*
 * kmalloc-mix: kmalloc and kfree as a kernel's own code calls them. Two populations: objects that
 * last for one system call, allocated, used and freed again at once, and objects that stay, which
 * are replaced at random among many.
 *
 * Both size distributions were taken from Linux 6.18 on x86-64 (2 CPUs): the short-lived ones from
 * 123,575 calls that `perf record -a -e kmem:kmalloc` saw while programs were compiled, committed,
 * packed, forked, and served by redis for 10 seconds; the lasting ones from the active objects of
 * kmalloc-* in /proc/slabinfo, kmalloc-rcl-* being the reclaimable ones. The recorded calls asked
 * for zeroed memory 51 times in 100, and could not wait 0.3 times in 100. Neither showed one object
 * of the DMA zone.
 */
#include "workloads/kmalloc_mix.h"

#include "workloads/kernel_ops.h"

enum { SLOTS, TRANSIENT, REALLOC, ATOMIC };

static const struct workload_option options[] = {
    [SLOTS] = {"slots", OPTION_COUNT, "10000", 1, 10000000, NULL, "lasting objects of each thread"},
    [TRANSIENT] = {"transient", OPTION_COUNT, "1", 0, 1000, NULL,
                   "short-lived objects between two replacements"},
    [REALLOC] = {"realloc", OPTION_COUNT, "5", 0, 100, NULL,
                 "percent of replacements that krealloc makes"},
    [ATOMIC] = {"atomic", OPTION_COUNT, "1", 0, 100, NULL,
                "percent of allocations that must not wait"},
    {.name = NULL},
};

enum { DRAWS = 1 << 15, ZEROED_PERCENT = 51 };

/* So many of all are of `size` bytes at most, and above the size of the row before. */
struct size_class {
    uint32_t weight, size;
    bool is_reclaimable;
};

static const struct size_class transient_classes[] = {
    {6722, 16, false},    {5030, 24, false},  {18067, 32, false},  {3460, 48, false},
    {18499, 64, false},   {18994, 96, false}, {173, 128, false},   {1125, 192, false},
    {4127, 256, false},   {2051, 512, false}, {1458, 1024, false}, {10627, 2048, false},
    {33242, 4096, false},
};

static const struct size_class lasting_classes[] = {
    {3072, 8, false},   {2872, 16, false},  {2108, 32, false},  {2203, 64, false},
    {3948, 96, false},  {12138, 96, true},  {3339, 128, false}, {448, 128, true},
    {3066, 192, false}, {21, 192, true},    {984, 256, false},  {5009, 512, false},
    {847, 1024, false}, {480, 2048, false}, {329, 4096, false}, {40, 8192, false},
};

struct object {
    void *block; /* NULL: an empty slot */
    size_t size;
};

enum way { PLAIN, ZEROED, RESIZED };

struct request {
    uint32_t size;
    gfp_t gfp;
    uint32_t slot; /* of a replacement */
    enum way way;
};

struct mix {
    const struct kernel_ops *ops; /* NULL: the adapter */
    struct object *slots;
    struct request *lasting, *transient; /* DRAWS of each */
};

/* ---- calls ----------------------------------------------------------------------------------- */

/*
 * A request that must not wait may find nothing where GFP_KERNEL still would. As kernel code does,
 * it is then repeated from where waiting is allowed: one call more, which `ops` counts.
 */
static __attribute__((noinline)) void *kmalloc_again(struct worker *w, const struct kernel_ops *ops,
                                                     const struct request *r)
{
    if (r->gfp & __GFP_DIRECT_RECLAIM)
        worker_out_of_memory(w, r->size);
    w->ops++;
    gfp_t gfp = (r->gfp & __GFP_RECLAIMABLE) | GFP_KERNEL | (r->way == ZEROED ? __GFP_ZERO : 0);
    return op_checked(w, ops->kmalloc(r->size, gfp), r->size);
}

HM_INLINE void *mix_alloc(struct worker *w, const struct kernel_ops *ops, const struct request *r,
                          bool native, bool timed)
{
    const bool zeroed = r->way == ZEROED;
    if (!native)
        return zeroed ? op_calloc(w, 1, r->size, timed) : op_malloc(w, r->size, timed);
    uint64_t begin = sample_begin(w, timed);
    void *block = zeroed ? ops->kzalloc(r->size, r->gfp) : ops->kmalloc(r->size, r->gfp);
    sample_end(w, zeroed ? OP_CALLOC : OP_MALLOC, begin);
    return HM_UNLIKELY(block == NULL) ? kmalloc_again(w, ops, r) : block;
}

HM_INLINE void *mix_realloc(struct worker *w, const struct kernel_ops *ops, void *block,
                            const struct request *r, bool native, bool timed)
{
    if (!native)
        return op_realloc(w, block, r->size, timed);
    uint64_t begin = sample_begin(w, timed);
    void *moved = ops->krealloc(block, r->size, GFP_KERNEL);
    sample_end(w, OP_REALLOC, begin);
    return op_checked(w, moved, r->size);
}

HM_INLINE void mix_free(struct worker *w, const struct kernel_ops *ops, void *block, bool native,
                        bool timed)
{
    if (!native) {
        op_free(w, block, timed);
        return;
    }
    uint64_t begin = sample_begin(w, timed);
    ops->kfree(block);
    sample_end(w, OP_FREE, begin);
}

/* ---- objects --------------------------------------------------------------------------------- */

/* The first and the last bytes stand for all: clearing less than asked shows at an end. */
HM_INLINE void check_zeroed(struct worker *w, const void *block, size_t size)
{
    uint64_t first = 0, last = 0;
    size_t ends = size < sizeof first ? size : sizeof first;
    memcpy(&first, block, ends);
    memcpy(&last, (const char *)block + size - ends, ends);
    if (HM_UNLIKELY((first | last) != 0))
        worker_wrong(w, "zeroed memory of %zu bytes at %p does not read as zero", size, block);
}

HM_INLINE void *object_make(struct worker *w, const struct mix *m, const struct request *r,
                            bool native, bool timed)
{
    void *block = mix_alloc(w, m->ops, r, native, timed);
    if (r->way == ZEROED)
        check_zeroed(w, block, r->size);
    stamp_write(block, r->size);
    worker_live(w, r->size);
    return block;
}

HM_INLINE void object_end(struct worker *w, const struct mix *m, void *block, size_t size,
                          bool native, bool timed)
{
    stamp_take(w, block, size);
    worker_live(w, -(int64_t)size);
    mix_free(w, m->ops, block, native, timed);
}

HM_INLINE void object_resize(struct worker *w, const struct mix *m, struct object *o,
                             const struct request *r, bool native, bool timed)
{
    uint64_t stamp = stamp_value(o->block, o->size), kept;
    stamp_check(w, o->block, o->size);
    o->block = mix_realloc(w, m->ops, o->block, r, native, timed);
    if (o->size >= sizeof kept && r->size >= sizeof kept) {
        memcpy(&kept, o->block, sizeof kept);
        if (HM_UNLIKELY(kept != stamp))
            worker_corrupt(w, o->block, r->size);
    }
    worker_live(w, (int64_t)r->size - (int64_t)o->size);
    o->size = r->size;
    stamp_write(o->block, o->size);
}

/* The calls made. A slot's first object is always a new one. */
HM_INLINE uint64_t object_replace(struct worker *w, const struct mix *m, const struct request *r,
                                  bool native, bool timed)
{
    struct object *o = &m->slots[r->slot];
    uint64_t calls = 1;
    if (o->block != NULL && r->way == RESIZED) {
        object_resize(w, m, o, r, native, timed);
        return calls;
    }
    if (o->block != NULL) {
        object_end(w, m, o->block, o->size, native, timed);
        calls++;
    }
    *o = (struct object){.block = object_make(w, m, r, native, timed), .size = r->size};
    return calls;
}

HM_INLINE void run_mix(struct worker *w, bool native, bool timed)
{
    const struct mix *m = w->state;
    const uint64_t slot_count = trial_param(w->trial, SLOTS);
    const uint64_t transient = trial_param(w->trial, TRANSIENT);
    uint64_t calls = 0, at = 0;
    for (uint64_t i = 0; i < w->work; i++) {
        for (uint64_t t = 0; t < transient; t++) {
            const struct request *r = &m->transient[at++ % DRAWS];
            void *block = object_make(w, m, r, native, timed);
            __asm__ volatile("" ::: "memory"); /* the check must read what memory holds */
            object_end(w, m, block, r->size, native, timed);
            calls += 2;
        }
        calls += object_replace(w, m, &m->lasting[i % DRAWS], native, timed);
    }
    for (uint64_t i = 0; i < slot_count; i++) {
        struct object *o = &m->slots[i];
        if (o->block == NULL)
            continue;
        object_end(w, m, o->block, o->size, native, timed);
        o->block = NULL;
        calls++;
    }
    w->ops += calls;
}

HM_INLINE void kmalloc_mix(struct worker *w, bool timed)
{
    if (((const struct mix *)w->state)->ops != NULL)
        run_mix(w, true, timed);
    else
        run_mix(w, false, timed);
}
WORKLOAD_INSTANCES(kmalloc_mix)

/* ---- setup ----------------------------------------------------------------------------------- */

#define ELEMENTS(array) (sizeof(array) / sizeof *(array))

/* A class by weight, a size inside it; classes of one size share the bytes below it. */
static struct kmalloc_draw draw(const struct size_class *classes, size_t count, uint64_t *rng)
{
    uint64_t total = 0;
    uint32_t smaller = 0;
    for (size_t i = 0; i < count; i++)
        total += classes[i].weight;
    uint64_t at = rng_below(rng, total);
    const struct size_class *class = classes;
    for (; at >= class->weight; class ++) {
        at -= class->weight;
        if (class[1].size > class->size)
            smaller = class->size;
    }
    return (struct kmalloc_draw){
        .size = smaller + 1 + (uint32_t)rng_below(rng, class->size - smaller),
        .is_reclaimable = class->is_reclaimable,
    };
}

struct kmalloc_draw kmalloc_mix_draw(bool lasting, uint64_t *rng)
{
    return lasting ? draw(lasting_classes, ELEMENTS(lasting_classes), rng)
                   : draw(transient_classes, ELEMENTS(transient_classes), rng);
}

static struct request draw_request(struct trial *trial, bool lasting, uint64_t *rng)
{
    struct kmalloc_draw draw = kmalloc_mix_draw(lasting, rng);
    struct request r = {.size = draw.size, .gfp = GFP_KERNEL};
    if (rng_below(rng, 100) < ZEROED_PERCENT)
        r.way = ZEROED;
    if (rng_below(rng, 100) < trial_param(trial, ATOMIC))
        r.gfp = rng_below(rng, 2) ? GFP_ATOMIC : GFP_NOWAIT;
    if (draw.is_reclaimable)
        r.gfp |= __GFP_RECLAIMABLE;
    if (!lasting)
        return r;
    r.slot = (uint32_t)rng_below(rng, trial_param(trial, SLOTS));
    if (rng_below(rng, 100) < trial_param(trial, REALLOC))
        r.way = RESIZED;
    return r;
}

static int setup(struct trial *trial)
{
    const struct kernel_ops *ops = kernel_ops_find(trial, KERNEL_KMALLOC);
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        uint64_t rng = trial_seed(trial) + i;
        struct mix *m = trial_map(trial, sizeof *m);
        m->ops = ops;
        m->slots = trial_map(trial, trial_param(trial, SLOTS) * sizeof *m->slots);
        m->lasting = trial_map(trial, DRAWS * sizeof *m->lasting);
        m->transient = trial_map(trial, DRAWS * sizeof *m->transient);
        for (uint32_t d = 0; d < DRAWS; d++) {
            m->lasting[d] = draw_request(trial, true, &rng);
            m->transient[d] = draw_request(trial, false, &rng);
        }
        trial_worker(trial, i)->state = m;
    }
    return 0;
}

const struct workload workload_kmalloc_mix = {
    .name = "kmalloc-mix",
    .summary =
        "kmalloc and kfree with a running kernel's sizes: short-lived objects between lasting ones",
    .source = "kmem:kmalloc events and /proc/slabinfo of Linux 6.18",
    .work_unit = "replacements",
    .options = options,
    .setup = setup,
    .run = kmalloc_mix_plain,
    .run_timed = kmalloc_mix_timed,
};
