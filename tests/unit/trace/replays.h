/* What the tests of the replayer share: a trace is loaded, checked by simulation, and replayed. */
#ifndef HEAPMARK_TESTS_REPLAYS_H
#define HEAPMARK_TESTS_REPLAYS_H

#include "fixture.h"
#include "mock_trial.h"

/* The modes, in the order of the option's choices. */
enum { DEPENDENCY, PACED, SERIAL };

extern const struct trace_load_options replay_in_memory;

/* A test fails where the trace cannot be loaded, or where its program is not sound. */
struct trace_input replay_load(const char *path, const struct trace_load_options *options);

/* The allocator calls of one pass: each event is one, and so is each leftover's free. */
uint64_t replay_calls(const char *path);

/* Replays at full speed; a test fails unless all calls were made. `run` says how. */
void replay_as(const char *path, const struct trace_load_options *options, struct mock_run run);

/* The same in memory and with nothing special. */
void replay(const char *path, uint64_t passes, bool timed, uint64_t seed);

/* Of this process. */
uint64_t replay_resident_bytes(void);

#endif
