/*
 * prodcons: one thread allocates, another frees. Memory only ever flows one way, which is the
 * weak side of thread caches and per-thread heaps: what the producer needs lies with the consumer.
 *
 * Threads 0 and 1 are a pair, 2 and 3 the next, each with a bounded queue of its own; a last odd
 * thread fills and drains its queue by itself, in turn.
 */
#include "include/workload.h"

#include <stdatomic.h>

enum { SIZE, QUEUE, BURST };

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64", 1, 1ull << 30, NULL, "size of each object"},
    [QUEUE] = {"queue", OPTION_COUNT, "1024", 1, 1 << 24, NULL,
               "objects that a queue holds; rounded up to a power of two"},
    [BURST] = {"burst", OPTION_COUNT, "64", 1, 1 << 24, NULL,
               "objects handed over at once; no more than half a queue"},
    {.name = NULL},
};

/*
 * A single-producer single-consumer ring (Lamport 1983). Objects change hands in bursts: one by
 * one, the cache lines of the two positions would travel between the CPUs for every object and cost
 * more than the allocator.
 */
struct queue {
    void **objects;
    uint64_t mask, burst;
    alignas(128) _Atomic uint64_t pushed; /* written by the producer */
    alignas(128) _Atomic uint64_t popped; /* written by the consumer */
};

static struct queue *queue_new(struct trial *trial)
{
    struct queue *queue = trial_map(trial, sizeof *queue);
    uint64_t capacity = 2, burst = trial_param(trial, BURST);
    while (capacity < trial_param(trial, QUEUE))
        capacity *= 2;
    queue->objects = trial_map(trial, capacity * sizeof *queue->objects);
    queue->mask = capacity - 1;
    queue->burst = burst < capacity / 2 ? burst : capacity / 2;
    return queue;
}

static int setup(struct trial *trial)
{
    struct queue *queue = NULL;
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        if (i % 2 == 0)
            queue = queue_new(trial);
        trial_worker(trial, i)->state = queue;
    }
    return 0;
}

static inline uint64_t burst_of(const struct queue *q, uint64_t left)
{
    return left < q->burst ? left : q->burst;
}

/* Waits until `other`, the other side's position, has reached `position`. */
static inline void await(const _Atomic uint64_t *other, uint64_t position)
{
    unsigned spins = 0;
    while ((int64_t)(atomic_load_explicit(other, memory_order_acquire) - position) < 0)
        worker_relax(&spins);
}

HM_INLINE void produce(struct worker *w, uint64_t count, size_t size, bool timed)
{
    struct queue *q = w->state;
    uint64_t position = atomic_load_explicit(&q->pushed, memory_order_relaxed);
    for (uint64_t left = count; left > 0;) {
        uint64_t burst = burst_of(q, left);
        await(&q->popped, position + burst - (q->mask + 1)); /* room for the burst */
        for (uint64_t end = position + burst; position < end; position++) {
            void *object = op_malloc(w, size, timed);
            stamp_write(object, size);
            q->objects[position & q->mask] = object;
        }
        atomic_store_explicit(&q->pushed, position, memory_order_release);
        left -= burst;
    }
}

HM_INLINE void consume(struct worker *w, uint64_t count, size_t size, bool timed)
{
    struct queue *q = w->state;
    uint64_t position = atomic_load_explicit(&q->popped, memory_order_relaxed);
    for (uint64_t left = count; left > 0;) {
        uint64_t burst = burst_of(q, left);
        await(&q->pushed, position + burst);
        for (uint64_t end = position + burst; position < end; position++) {
            void *object = q->objects[position & q->mask];
            stamp_take(w, object, size);
            op_free(w, object, timed);
        }
        atomic_store_explicit(&q->popped, position, memory_order_release);
        left -= burst;
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
