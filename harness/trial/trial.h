/*
 * The inside of a running trial: what workload.h keeps from workload authors.
 *
 * The trial object and everything it points to live in mapped memory; nothing here calls the
 * allocator under test. Threads: worker 0 is the main thread, so that a single-threaded trial is
 * a single-threaded process (the C library takes cheaper paths there).
 */
#ifndef HEAPMARK_TRIAL_TRIAL_H
#define HEAPMARK_TRIAL_TRIAL_H

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

/* memory.c: resident bytes of this process, now and at most since the last reset; 0 if unknown. */
uint64_t memory_rss_bytes(void);
uint64_t memory_rss_bytes_peak(void);
void memory_reset_peak(void);

/* purge.c: asks the allocator under test to give memory back. False: it offers no way. */
void purge_find(void);
bool purge_run(void);

/* loop.c: runs warm-up, measured and sampled part, and fills the result. */
void loop_run(struct trial *trial);

#endif
