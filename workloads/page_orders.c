/*
 * page-orders: blocks of 2^order pages straight from the page allocator, replaced at random: the
 * buddy system splits and merges, and order-0 pages pass through per-CPU lists. The adapter asks
 * for memory of the same size, aligned to its size as such blocks are.
 *
 * The mix of orders is what `perf record -a -e kmem:mm_page_alloc` saw on Linux 6.18, x86-64, in
 * 1,143,254 calls while programs were compiled, committed, packed, forked, and served by redis,
 * user memory and page cache included. Of these, 98.9 % are single pages.
 */
#include "workloads/page_orders.h"

#include "workloads/kernel_ops.h"

enum { ORDER, SLOTS, TOUCH };
enum { ORDER_MIX, ORDER_HALVES, ORDER_0 };
enum { TOUCH_ENDS, TOUCH_PAGES };

static const char *const orders[] = {"mix", "halves", "0", "1", "2", "3",  "4",
                                     "5",   "6",      "7", "8", "9", "10", NULL};
static const char *const touches[] = {"ends", "pages", NULL};

static const struct workload_option options[] = {
    [ORDER] = {"order", OPTION_CHOICE, "mix", 0, 0, orders,
               "as recorded; each order half as often as the one below it; or one order"},
    [SLOTS] = {"slots", OPTION_COUNT, "1000", 1, 1000000, NULL, "live blocks of each thread"},
    [TOUCH] = {"touch", OPTION_CHOICE, "ends", 0, 0, touches,
               "what is written: the ends of a block, or every page"},
    {.name = NULL},
};

enum { DRAWS = 1 << 15 };

static const uint32_t recorded[NR_PAGE_ORDERS] = {1131077, 2668, 2474, 5218, 1585, 112,
                                                  33,      23,   24,   40,   0};

struct pages {
    void *block; /* NULL: none */
    uint32_t order;
};

struct draw {
    uint32_t slot, order;
};

struct orders {
    const struct kernel_ops *ops; /* NULL: the adapter */
    struct pages *slots;
    struct draw *draws; /* DRAWS of them */
};

HM_INLINE void *pages_alloc(struct worker *w, const struct kernel_ops *ops, uint32_t order,
                            bool native, bool timed)
{
    const size_t size = PAGE_SIZE << order;
    if (!native)
        return op_aligned(w, size, size, timed);
    uint64_t begin = sample_begin(w, timed);
    void *block = (void *)ops->__get_free_pages(GFP_KERNEL, order);
    sample_end(w, OP_MALLOC, begin);
    return op_checked(w, block, size);
}

HM_INLINE void pages_free(struct worker *w, const struct kernel_ops *ops, const struct pages *pages,
                          bool native, bool timed)
{
    if (!native) {
        op_free(w, pages->block, timed);
        return;
    }
    uint64_t begin = sample_begin(w, timed);
    ops->free_pages((unsigned long)pages->block, pages->order);
    sample_end(w, OP_FREE, begin);
}

/* A word at each end, made of address and order. */
HM_INLINE uint64_t *last_word(const struct pages *pages)
{
    return (uint64_t *)pages->block + (PAGE_SIZE << pages->order) / sizeof(uint64_t) - 1;
}

static void pages_touch(const struct pages *pages, uint64_t touch)
{
    volatile char *bytes = pages->block;
    if (touch == TOUCH_PAGES)
        for (size_t at = 0; at < PAGE_SIZE << pages->order; at += PAGE_SIZE)
            bytes[at] = 1;
    *(uint64_t *)pages->block = *last_word(pages) = stamp_value(pages->block, pages->order);
}

HM_INLINE void pages_fill(struct worker *w, const struct orders *o, struct pages *pages,
                          uint32_t order, uint64_t touch, bool native, bool timed)
{
    const size_t size = PAGE_SIZE << order;
    pages->block = pages_alloc(w, o->ops, order, native, timed);
    pages->order = order;
    if (HM_UNLIKELY((uintptr_t)pages->block & (size - 1)))
        worker_wrong(w, "a block of order %u at %p is not aligned to its size", order,
                     pages->block);
    pages_touch(pages, touch);
    worker_live(w, (int64_t)size);
}

HM_INLINE void pages_empty(struct worker *w, const struct orders *o, struct pages *pages,
                           bool native, bool timed)
{
    const size_t size = PAGE_SIZE << pages->order;
    const uint64_t stamp = stamp_value(pages->block, pages->order);
    if (HM_UNLIKELY(*(uint64_t *)pages->block != stamp || *last_word(pages) != stamp))
        worker_corrupt(w, pages->block, size);
    *(uint64_t *)pages->block = 0; /* a second owner shall miss it */
    worker_live(w, -(int64_t)size);
    pages_free(w, o->ops, pages, native, timed);
    pages->block = NULL;
}

HM_INLINE void run_orders(struct worker *w, bool native, bool timed)
{
    const struct orders *o = w->state;
    const uint64_t slot_count = trial_param(w->trial, SLOTS), touch = trial_param(w->trial, TOUCH);
    uint64_t frees = 0;
    for (uint64_t i = 0; i < w->work; i++) {
        const struct draw *draw = &o->draws[i % DRAWS];
        struct pages *pages = &o->slots[draw->slot];
        if (pages->block != NULL) {
            pages_empty(w, o, pages, native, timed);
            frees++;
        }
        pages_fill(w, o, pages, draw->order, touch, native, timed);
    }
    for (uint64_t i = 0; i < slot_count; i++)
        if (o->slots[i].block != NULL) {
            pages_empty(w, o, &o->slots[i], native, timed);
            frees++;
        }
    w->ops += w->work + frees;
}

HM_INLINE void page_orders(struct worker *w, bool timed)
{
    if (((const struct orders *)w->state)->ops != NULL)
        run_orders(w, true, timed);
    else
        run_orders(w, false, timed);
}
WORKLOAD_INSTANCES(page_orders)

/* ---- setup ----------------------------------------------------------------------------------- */

uint32_t page_orders_draw(uint64_t *rng)
{
    uint64_t total = 0;
    for (uint32_t order = 0; order < NR_PAGE_ORDERS; order++)
        total += recorded[order];
    uint64_t at = rng_below(rng, total);
    uint32_t order = 0;
    for (; at >= recorded[order]; order++)
        at -= recorded[order];
    return order;
}

static uint32_t draw_order(uint64_t kind, uint64_t *rng)
{
    if (kind == ORDER_MIX)
        return page_orders_draw(rng);
    if (kind == ORDER_HALVES) /* what is above the last order falls to it */
        return (uint32_t)__builtin_ctzll(rng_next(rng) | 1ull << MAX_PAGE_ORDER);
    return (uint32_t)(kind - ORDER_0);
}

static int setup(struct trial *trial)
{
    const struct kernel_ops *ops = kernel_ops_find(trial, KERNEL_PAGES);
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        uint64_t rng = trial_seed(trial) + i, slot_count = trial_param(trial, SLOTS);
        struct orders *o = trial_map(trial, sizeof *o);
        o->ops = ops;
        o->slots = trial_map(trial, slot_count * sizeof *o->slots);
        o->draws = trial_map(trial, DRAWS * sizeof *o->draws);
        for (uint32_t d = 0; d < DRAWS; d++)
            o->draws[d] = (struct draw){
                .slot = (uint32_t)rng_below(&rng, slot_count),
                .order = draw_order(trial_param(trial, ORDER), &rng),
            };
        trial_worker(trial, i)->state = o;
    }
    return 0;
}

const struct workload workload_page_orders = {
    .name = "page-orders",
    .summary = "blocks of 2^order pages straight from the page allocator, replaced at random",
    .source = "kmem:mm_page_alloc events of Linux 6.18; Knuth 1968 (the buddy system)",
    .work_unit = "replacements",
    .options = options,
    .setup = setup,
    .run = page_orders_plain,
    .run_timed = page_orders_timed,
};
