/*
 * The inside of a running trial: what workload.h keeps from workload authors.
 *
 * The trial object and everything it points to live in mapped memory; nothing here calls the
 * allocator under test. Threads: worker 0 is the main thread, so that a single-threaded trial is
 * a single-threaded process (the C library takes cheaper paths there).
 */
#ifndef HEAPMARK_TRIAL_TRIAL_H
#define HEAPMARK_TRIAL_TRIAL_H

#include "trial/memory.h"
#include "trial/spec.h"

#include <stdatomic.h>

/* All threads meet here; sleeps on a futex after spec.spins turns. */
struct barrier {
    alignas(128) _Atomic uint32_t arrived;
    alignas(128) _Atomic uint32_t round;
    uint32_t thread_count, spins;
};

void barrier_wait(struct barrier *barrier);

struct trial {
    struct trial_shared *shared;
    const struct trial_spec *spec;
    struct trial_result *result;
    const struct workload *workload;
    struct worker *workers;
    const void *input;
    struct barrier start_gate; /* the harness's own: phases begin and end here */
    struct barrier body_gate;  /* for worker_barrier() */
    uint64_t phase_work;       /* what the next phase does; main writes it before the gate */
    bool phase_timed, phase_last;
};

/* Ends the trial: the first caller's status and detail stand. Does not return. */
_Noreturn void trial_fail(struct trial *trial, enum trial_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* identity.c: trial_fail()s unless malloc and its family come from the file named in the spec. */
void identity_check(struct trial *trial);

/* placement.c: pins the calling thread, sets the process's memory policy. */
void placement_pin(struct trial *trial, uint32_t worker);
void placement_set_mempolicy(struct trial *trial);

/* peak.c: where the spec asks for an exact peak, has the parent read what is resident before each
 * call that may give memory back, from now on and in all threads started later. */
void peak_watch(struct trial *trial);

/* purge.c: asks the allocator under test to give memory back. False: it offers no way. */
void purge_find(void);
bool purge_run(void);

/* flags.c: asks the allocator under test for words about itself (heapmark_allocator_flags). */
void flags_from_allocator(struct trial *trial);

/* turn.c: says that what came before is done, and sleeps until the parent releases `turn`. */
void turn_await(struct trial *trial, uint32_t turn);

/* counter.c: user-mode instructions of this process by the CPU's counter. Opened before threads
 * start, so that they are counted; reads 0 where the machine or its settings give no counter. */
void counter_open(void);
uint64_t counter_read(void);

/* callgrind.c: collects instructions from start to stop when the trial runs under valgrind. */
void callgrind_start(const struct trial *trial);
void callgrind_stop(const struct trial *trial);

/*
 * timeline.c: from begin to end the timed instance hands over every call, and a thread notes live
 * and resident bytes. An allocation is handed over after it was made, a free before; other calls
 * are ones of which no size is known. `harness_bytes` is what the row says: resident bytes are
 * without what the harness has mapped beyond it. Any thread.
 */
void timeline_begin(struct trial *trial, uint64_t harness_bytes);
void timeline_end(void);
void timeline_allocated(const void *block, size_t size);
void timeline_freed(const void *block);
void timeline_other_call(void);

/* loop.c: runs warm-up, measured, sampled and timeline part, and fills the result. */
void loop_run(struct trial *trial);

#endif
