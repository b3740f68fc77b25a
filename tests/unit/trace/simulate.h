/*
 * Runs a replay program without any allocator, player by player in turns, and checks what the
 * replayer takes on trust: every slot in range, made before it is ended and ended once, sizes at
 * the end those of the beginning, shared slots with one maker and one taker, nothing left over, the
 * marks that were announced, and that it comes to its end.
 */
#ifndef HEAPMARK_TESTS_SIMULATE_H
#define HEAPMARK_TESTS_SIMULATE_H

#include "workloads/trace/load.h"

/* NULL when all is well, else what is wrong. */
const char *simulate(const struct trace_input *input);

#endif
