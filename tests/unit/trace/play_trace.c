/* Replays a trace in this process and says what an event costs: play_trace FILE [PASSES]. */
#include "mock_trial.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    const struct trace_load_options options = {.memory_bytes = SIZE_MAX};
    char error[512];
    struct trace_input input;
    struct mock_result result;
    if (argc < 2) {
        fprintf(stderr, "usage: play_trace FILE [PASSES]\n");
        return 2;
    }
    if (trace_load(argv[1], &options, &input, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    struct mock_run run = {.input = &input,
                           .params = {.speed = 100},
                           .passes = argc > 2 ? strtoull(argv[2], NULL, 10) : 5};
    if (mock_replay(&run, &result) != 0)
        return 1;
    printf("%.2f ns an event, %llu calls, %u threads\n",
           (double)result.wall_ns / (double)result.ops, (unsigned long long)result.ops,
           input.players);
    trace_input_release(&input);
    return 0;
}
