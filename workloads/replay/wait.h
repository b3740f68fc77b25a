/*
 * Waiting: for another player, and for the time at which an event is due.
 *
 * Waits are timed only once they have been found necessary, so that their clock reading passes
 * while there is nothing else to do.
 */
#ifndef HEAPMARK_REPLAY_WAIT_H
#define HEAPMARK_REPLAY_WAIT_H

#include "workloads/replay/player.h"

#include <sched.h>
#include <time.h>

enum { SLOTS_AHEAD = 16 }; /* two lines */
enum { YIELD_NS = 100000, SLEEP_MIN_NS = 50000, SLEEP_MAX_NS = 5000000 };

static inline void replay_sleep(uint64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000),
                                 .tv_nsec = (long)(ns % 1000000000)},
              NULL);
}

/*
 * Some 200 us of spinning cover a hand-over between threads that both run. A longer wait is a
 * thread that has nothing to do now, as in the recording: it must not take a CPU from the others,
 * so it sleeps, an eighth of what it has waited so far at a time. Publishers pay nothing for
 * sleepers.
 */
static inline void replay_relax(const struct player *p, unsigned *spins, uint64_t waited_ns)
{
    uint64_t ns = waited_ns / 8;
    if (*spins < p->spins) {
        worker_relax(spins);
    } else if (waited_ns < YIELD_NS) {
        sched_yield();
    } else {
        ns = ns < SLEEP_MIN_NS ? SLEEP_MIN_NS : ns;
        replay_sleep(ns < SLEEP_MAX_NS ? ns : SLEEP_MAX_NS);
    }
}

/* Until the slot is full, or empty. Returns what it then held. */
static __attribute__((noinline)) uintptr_t replay_await(struct player *p, shared_slot *slot,
                                                        bool full)
{
    uint64_t begin_ns = worker_now_ns(), now_ns = begin_ns;
    unsigned spins = 0;
    uintptr_t value;
    while (((value = atomic_load_explicit(slot, memory_order_acquire)) != 0) != full) {
        replay_relax(p, &spins, now_ns - begin_ns);
        now_ns = worker_now_ns();
    }
    p->wait_ns += now_ns - begin_ns;
    return value;
}

/*
 * The maker's side: hands an object over, or with NULL only the news. Its next slots mostly stand
 * in a row, and their lines are where the taker emptied them: they are fetched some calls ahead,
 * since a maker would soon have to wait for them.
 */
HM_INLINE void replay_publish(struct player *p, uint32_t slot, void *block)
{
    shared_slot *at = &p->shared[slot];
    if (HM_UNLIKELY(atomic_load_explicit(at, memory_order_acquire) != 0))
        replay_await(p, at, false);
    atomic_store_explicit(at, (uintptr_t)block | 1, memory_order_release);
    fetch_for_writing(at + SLOTS_AHEAD);
}

/* The taker's side. */
HM_INLINE void *replay_take(struct player *p, uint32_t slot)
{
    shared_slot *at = &p->shared[slot];
    uintptr_t value = atomic_load_explicit(at, memory_order_acquire);
    if (HM_UNLIKELY(value == 0))
        value = replay_await(p, at, true);
    atomic_store_explicit(at, 0, memory_order_release);
    return (void *)(value & ~(uintptr_t)1);
}

/*
 * Until an event is due that was recorded `ns` after the pass's start. The last 200 us are spun:
 * what sleeps may wake up some 100 us late. Where threads share CPUs, that would make it worse.
 */
static __attribute__((noinline)) void replay_pace(struct player *p, uint64_t ns)
{
    enum { SPIN_NS = 200000 };
    uint64_t due_ns = p->pass_ns + (uint64_t)((double)ns * p->recorded_to_real);
    uint64_t begin_ns = worker_now_ns(), now_ns = begin_ns;
    uint64_t spun_ns = p->spins > 0 ? SPIN_NS : 0;
    unsigned spins = 0;
    while (now_ns < due_ns) {
        if (due_ns - now_ns > spun_ns)
            replay_sleep(due_ns - now_ns - spun_ns);
        else
            worker_relax(&spins);
        now_ns = worker_now_ns();
    }
    p->wait_ns += now_ns - begin_ns;
    if (now_ns - due_ns > p->late_ns)
        p->late_ns = now_ns - due_ns;
    p->due_ns = due_ns;
}

#endif
