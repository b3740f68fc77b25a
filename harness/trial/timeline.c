/*
 * Memory over time: an extra part that repeats the measured work. Every call of the timed instance
 * is handed over here and its block kept in a table of sizes by address, because a free does not
 * say how much it gives back; a thread of its own notes live and resident bytes from time to time.
 * None of this is timed, and it comes last, so that it may be slow: one lock guards everything.
 *
 * The table is harness memory; what it grows by is taken off the resident bytes that are noted.
 */
#include "trial/trial.h"
#include "util/errno_text.h"

#include <pthread.h>
#include <sched.h>

enum { FIRST_ENTRIES = 1 << 16, POINTS_WANTED = 200, STEP_MIN_NS = 50000 };

struct entry {
    uintptr_t block; /* 0: free */
    size_t size;
};

static struct {
    atomic_flag lock;
    struct trial *trial;
    struct entry *entries; /* open addressing, linear probing, at most half full */
    size_t capacity, count;
    uint64_t live_bytes, calls;
    bool has_other_calls;
    uint64_t harness_bytes; /* that resident bytes may contain, as in the trial's row */
    uint64_t start_ticks, step_ns;
    pthread_t watcher;
    _Atomic bool is_over;
} timeline = {.lock = ATOMIC_FLAG_INIT};

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&timeline.lock, memory_order_acquire))
        sched_yield();
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&timeline.lock, memory_order_release);
}

/* ---- the table ------------------------------------------------------------------------------- */

static size_t home(uintptr_t block)
{
    return (size_t)((block * 0x9e3779b97f4a7c15u) >> 32) & (timeline.capacity - 1);
}

/* The entry of a block, or the free one where it belongs. */
static struct entry *find(uintptr_t block)
{
    size_t i = home(block);
    while (timeline.entries[i].block != 0 && timeline.entries[i].block != block)
        i = (i + 1) & (timeline.capacity - 1);
    return &timeline.entries[i];
}

static void grow(void)
{
    struct entry *old = timeline.entries;
    size_t old_capacity = timeline.capacity;
    timeline.capacity = old_capacity > 0 ? 2 * old_capacity : FIRST_ENTRIES;
    timeline.entries = trial_map(timeline.trial, timeline.capacity * sizeof *old);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].block != 0)
            *find(old[i].block) = old[i];
}

/* Closes the gap that a removed entry leaves (Knuth, volume 3, 6.4, algorithm R). */
static void remove_entry(struct entry *entry)
{
    size_t mask = timeline.capacity - 1, gap = (size_t)(entry - timeline.entries);
    for (size_t i = (gap + 1) & mask; timeline.entries[i].block != 0; i = (i + 1) & mask) {
        size_t distance_home = (i - home(timeline.entries[i].block)) & mask;
        if (distance_home < ((i - gap) & mask))
            continue;
        timeline.entries[gap] = timeline.entries[i];
        gap = i;
    }
    timeline.entries[gap].block = 0;
    timeline.count--;
}

void timeline_allocated(const void *block, size_t size)
{
    lock();
    timeline.calls++;
    if (block != NULL) {
        if (2 * (timeline.count + 1) > timeline.capacity)
            grow();
        struct entry *entry = find((uintptr_t)block);
        timeline.live_bytes -= entry->block != 0 ? entry->size : 0; /* one block, two owners */
        timeline.count += entry->block == 0;
        *entry = (struct entry){.block = (uintptr_t)block, .size = size};
        timeline.live_bytes += size;
    }
    unlock();
}

void timeline_freed(const void *block)
{
    lock();
    timeline.calls++;
    struct entry *entry = find((uintptr_t)block);
    if (block != NULL && entry->block != 0) {
        timeline.live_bytes -= entry->size;
        remove_entry(entry);
    }
    unlock();
}

void timeline_other_call(void)
{
    lock();
    timeline.calls++;
    timeline.has_other_calls = true;
    unlock();
}

/* ---- the points ------------------------------------------------------------------------------ */

static uint64_t accounted_bytes(const struct trial *trial)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < trial->spec->threads; i++)
        sum += __atomic_load_n(&trial->workers[i].live_bytes, __ATOMIC_RELAXED);
    return sum > 0 ? (uint64_t)sum : 0;
}

/* Every other point goes when there is no room: the whole part is shown, however long it takes. */
static void thin_out(struct trial_result *result, struct trial_point *points)
{
    for (uint32_t i = 0; i < TRIAL_POINTS_MAX / 2; i++)
        points[i] = points[2 * i];
    result->point_count = TRIAL_POINTS_MAX / 2;
    timeline.step_ns *= 2;
}

static void note_point(void)
{
    struct trial *trial = timeline.trial;
    struct trial_result *result = trial->result;
    struct trial_point *points = trial_points(trial->shared);
    if (result->point_count == TRIAL_POINTS_MAX)
        thin_out(result, points);
    lock();
    uint64_t own_bytes = result->harness_bytes - timeline.harness_bytes;
    points[result->point_count++] = (struct trial_point){
        .t_ns = clock_ns(clock_begin() - timeline.start_ticks),
        .calls = timeline.calls,
        .live_bytes = timeline.has_other_calls ? accounted_bytes(trial) : timeline.live_bytes,
        .rss_bytes = memory_rss_bytes_quick(0) - own_bytes,
    };
    unlock();
}

static void *watch(void *unused)
{
    cpu_set_t anywhere; /* not only on the CPU that worker 0 keeps busy */
    memset(&anywhere, 0xff, sizeof anywhere);
    sched_setaffinity(0, sizeof anywhere, &anywhere);
    while (!atomic_load(&timeline.is_over)) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)(timeline.step_ns / 1000000000u),
                                     .tv_nsec = (long)(timeline.step_ns % 1000000000u)},
                  NULL);
        note_point();
    }
    return unused;
}

void timeline_begin(struct trial *trial, uint64_t harness_bytes)
{
    timeline.trial = trial;
    timeline.harness_bytes = harness_bytes;
    timeline.step_ns = trial->result->wall_ns / POINTS_WANTED;
    if (timeline.step_ns < STEP_MIN_NS)
        timeline.step_ns = STEP_MIN_NS;
    grow();
    for (uint32_t i = 0; i < trial->spec->threads; i++) {
        struct worker *w = &trial->workers[i];
        w->live_bytes = 0; /* what the part before left there */
        w->sampler = (struct sampler){.left = 1, .rng = 1, .is_timeline = true};
    }
    timeline.start_ticks = clock_begin();
    note_point();
    int error = pthread_create(&timeline.watcher, NULL, watch, NULL);
    if (error != 0)
        trial_fail(trial, TRIAL_UNSUPPORTED, "cannot start the thread that watches memory: %s",
                   errno_text(error));
}

void timeline_end(void)
{
    atomic_store(&timeline.is_over, true);
    pthread_join(timeline.watcher, NULL);
    note_point();
}
