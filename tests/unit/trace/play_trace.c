/* Replays a trace in this process and says what an event costs: play_trace FILE [PASSES]. */
#include "mock_trial.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    char error[512];
    struct trace_input input;
    struct mock_result result;
    if (argc < 2) {
        fprintf(stderr, "usage: play_trace FILE [PASSES]\n");
        return 2;
    }
    uint64_t passes = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
    if (trace_load(argv[1], &input, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    if (mock_replay(&input, passes, false, 0, &result) != 0)
        return 1;
    printf("%.2f ns an event, %llu calls, %u threads\n",
           (double)result.wall_ns / (double)result.ops, (unsigned long long)result.ops,
           input.threads);
    trace_input_release(&input);
    return 0;
}
