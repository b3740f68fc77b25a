/*
 * prodcons: one thread allocates, another frees. Memory only ever flows one way, which is the
 * weak side of thread caches and per-thread heaps: what the producer needs lies with the consumer.
 *
 * Threads 0 and 1 are a pair, 2 and 3 the next, each with a bounded queue of its own; a last odd
 * thread fills and drains its queue by itself, in turn.
 */
#include "include/workload.h"

#include <stdatomic.h>

enum { SIZE, QUEUE };

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64", 1, 1ull << 30, NULL, "size of each object"},
    [QUEUE] = {"queue", OPTION_COUNT, "1024", 1, 1 << 24, NULL,
               "objects that a queue holds; rounded up to a power of two"},
    {.name = NULL},
};

/*
 * A single-producer single-consumer ring (Lamport 1983). Each side keeps the last position it saw
 * of the other, and looks again only when the ring seems full or empty.
 */
struct queue {
    void **objects;
    uint64_t mask;
    alignas(128) _Atomic uint64_t pushed; /* written by the producer */
    uint64_t popped_seen;
    alignas(128) _Atomic uint64_t popped; /* written by the consumer */
    uint64_t pushed_seen;
};

static int setup(struct trial *trial)
{
    uint64_t capacity = 1;
    while (capacity < trial_param(trial, QUEUE))
        capacity *= 2;
    struct queue *queue = NULL;
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        if (i % 2 == 0) {
            queue = trial_map(trial, sizeof *queue);
            queue->objects = trial_map(trial, capacity * sizeof *queue->objects);
            queue->mask = capacity - 1;
        }
        trial_worker(trial, i)->state = queue;
    }
    return 0;
}

HM_INLINE void push(struct queue *q, void *object)
{
    uint64_t position = atomic_load_explicit(&q->pushed, memory_order_relaxed);
    unsigned spins = 0;
    while (HM_UNLIKELY(position - q->popped_seen > q->mask)) {
        q->popped_seen = atomic_load_explicit(&q->popped, memory_order_acquire);
        if (position - q->popped_seen > q->mask)
            worker_relax(&spins);
    }
    q->objects[position & q->mask] = object;
    atomic_store_explicit(&q->pushed, position + 1, memory_order_release);
}

HM_INLINE void *pop(struct queue *q)
{
    uint64_t position = atomic_load_explicit(&q->popped, memory_order_relaxed);
    unsigned spins = 0;
    while (HM_UNLIKELY(position == q->pushed_seen)) {
        q->pushed_seen = atomic_load_explicit(&q->pushed, memory_order_acquire);
        if (position == q->pushed_seen)
            worker_relax(&spins);
    }
    void *object = q->objects[position & q->mask];
    atomic_store_explicit(&q->popped, position + 1, memory_order_release);
    return object;
}

HM_INLINE void produce(struct worker *w, uint64_t count, size_t size, bool timed)
{
    for (uint64_t i = 0; i < count; i++) {
        void *object = op_malloc(w, size, timed);
        stamp_write(object, size);
        push(w->state, object);
    }
}

HM_INLINE void consume(struct worker *w, uint64_t count, size_t size, bool timed)
{
    for (uint64_t i = 0; i < count; i++) {
        void *object = pop(w->state);
        stamp_check(w, object, size);
        op_free(w, object, timed);
    }
}

HM_INLINE void prodcons(struct worker *w, bool timed)
{
    const size_t size = trial_param(w->trial, SIZE);
    const uint64_t capacity = ((struct queue *)w->state)->mask + 1;
    const bool is_alone = w->index % 2 == 0 && w->index + 1 == w->thread_count;
    w->ops += w->work;
    if (is_alone) {
        for (uint64_t left = w->work; left > 0;) {
            uint64_t count = left < capacity ? left : capacity;
            produce(w, count, size, timed);
            consume(w, count, size, timed);
            left -= count;
        }
        w->ops += w->work;
    } else if (w->index % 2 == 0) {
        produce(w, w->work, size, timed);
    } else {
        consume(w, w->work, size, timed);
        return;
    }
    /* At most the queue is live, and what either side holds in its hands. */
    worker_live(w, (int64_t)(size * (w->work < capacity ? w->work : capacity)));
}
WORKLOAD_INSTANCES(prodcons)

const struct workload workload_prodcons = {
    .name = "prodcons",
    .summary = "allocated in one thread, freed in another",
    .source = "Berger et al. 2000 (blowup); mimalloc-bench's xmalloc-test",
    .work_unit = "objects for each pair of threads",
    .options = options,
    .setup = setup,
    .run = prodcons_plain,
    .run_timed = prodcons_timed,
};
