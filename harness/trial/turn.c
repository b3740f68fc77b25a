/*
 * The child's side of turns (see struct trial_gate). The word is shared between processes, so that
 * these futex calls are not the private ones of barriers.
 */
#include "trial/trial.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void turn_await(struct trial *trial, uint32_t turn)
{
    _Atomic uint32_t *word = &trial->shared->gate.released;
    const uint64_t one = 1;
    trial->result->stage = STAGE_WAITING;
    /* A parent that is gone takes this process with it; nothing else can make the write fail. */
    ssize_t ignored = write(TRIAL_SIGNAL_FD, &one, sizeof one);
    (void)ignored;
    uint32_t released;
    while ((released = atomic_load_explicit(word, memory_order_acquire)) <= turn)
        syscall(SYS_futex, word, FUTEX_WAIT, released, NULL, NULL, 0);
}
