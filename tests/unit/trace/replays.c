#include "replays.h"

#include "simulate.h"

#include "workloads/trace/info.h"

const struct trace_load_options replay_in_memory = {.memory_bytes = SIZE_MAX};

struct trace_input replay_load(const char *path, const struct trace_load_options *options)
{
    char error[512];
    struct trace_input input;
    if (trace_load(path, options, &input, error, sizeof error) != 0)
        fail_msg("%s", error);
    const char *fault = simulate(&input);
    if (fault != NULL)
        fail_msg("%s", fault);
    return input;
}

uint64_t replay_calls(const char *path)
{
    char error[512];
    struct trace_info *info = malloc(sizeof *info);
    assert_int_equal(trace_info_read(info, path, error, sizeof error), 0);
    uint64_t calls = info->header.events - info->ops[TRACE_SPAWN] - info->ops[TRACE_JOIN] +
                     info->live_objects_end;
    free(info);
    return calls;
}

void replay_as(const char *path, const struct trace_load_options *options, struct mock_run run)
{
    struct trace_input input = replay_load(path, options);
    struct mock_result result;
    run.input = &input;
    run.params.speed = 100;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, run.passes * replay_calls(path));
    assert_int_equal(result.live_bytes_peak, input.live_bytes_peak);
    trace_input_release(&input);
    assert_int_equal(input.fd, -1);
}

void replay(const char *path, uint64_t passes, bool timed, uint64_t seed)
{
    replay_as(path, &replay_in_memory,
              (struct mock_run){.passes = passes, .timed = timed, .seed = seed});
}

uint64_t replay_resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(statm, "%*u %lu", &pages), 1);
    fclose(statm);
    return pages * 4096;
}
