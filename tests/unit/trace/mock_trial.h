/*
 * A stand-in for the measured process, in which the replay workload runs under test: the calls of
 * workload.h with threads, but without pinning, clocks or a process of its own. A corrupt block or
 * a failed allocation is noted and ends the calling thread's part by abort().
 */
#ifndef HEAPMARK_TESTS_MOCK_TRIAL_H
#define HEAPMARK_TESTS_MOCK_TRIAL_H

#include "workloads/trace/load.h"

#include "include/workload.h"

struct mock_result {
    uint64_t ops;
    uint64_t live_bytes_peak;
    uint64_t wall_ns;
};

/*
 * Runs `passes` passes of a decoded trace, twice: as warm-up and as measured part would. `seed`
 * above 0 makes the threads dawdle at random. The result is the second part's. 0, or what setup
 * said.
 */
int mock_replay(const struct trace_input *input, uint64_t passes, bool timed, uint64_t seed,
                struct mock_result *result);

#endif
