/*
 * replay: runs a recorded program's allocator calls again. Three ways:
 *
 *   dependency  a player for each thread, truly at the same time. A player waits only where the
 *               recording proves that it must: before it ends an object that another one makes,
 *               before a thread starts that another one starts, and where it waited for another
 *               one's end. As fast as that allows.
 *   paced       the same, and no call before its recorded time, stretched by `speed`. Latencies
 *               count from when a call should have begun.
 *   serial      all threads' calls in their recorded order in one thread: the same calls every time.
 *
 * See trace/program.h for the words, and for why a replay cannot deadlock; docs/replay.md for the
 * whole picture.
 */
#include "workloads/replay/player.h"
#include "workloads/trace/format.h"
#include "workloads/trace/load.h"

#include <errno.h>
#include <stdio.h>

enum option { TRACE, MODE, SPEED, TOUCH, AHEAD };
enum mode { DEPENDENCY, PACED, SERIAL };
enum { SPEED_RECORDED = 100, SPINS = 4096 };

static const struct workload_option options[] = {
    [TRACE] = {"trace", OPTION_TRACE, NULL, 0, 0, NULL, "recorded trace to replay"},
    [MODE] =
        {"mode", OPTION_CHOICE, "dependency", 0, 0,
         (const char *const[]){"dependency", "paced", "serial", NULL},
         "threads at once as fast as they depend on one another; at the recorded times; or one "
         "thread in recorded order"},
    [SPEED] = {"speed", OPTION_COUNT, "100", 1, 1000000, NULL,
               "of mode=paced: percent of the recorded speed"},
    [TOUCH] = {"touch", OPTION_CHOICE, "pages", 0, 0,
               (const char *const[]){"pages", "first", "all", "none", NULL},
               "bytes of each block that are used: both ends and one of each page, the first 8, "
               "all, none"},
    [AHEAD] = {"ahead", OPTION_BYTES, "64m", 0, UINT64_C(1) << 40, NULL,
               "most memory for the decoded trace; a larger one is read from a file meanwhile"},
    {.name = NULL},
};

static void decoding(const uint64_t *params, struct trace_load_options *load)
{
    *load = (struct trace_load_options){.is_serial = params[MODE] == SERIAL,
                                        .is_paced = params[MODE] == PACED,
                                        .memory_bytes = params[AHEAD]};
}

static uint64_t paced_ns(const uint64_t *params, uint64_t recorded_ns)
{
    if (params[MODE] != PACED)
        return 0;
    return (uint64_t)((double)recorded_ns * SPEED_RECORDED / (double)params[SPEED]);
}

static const char *refusal(const uint64_t *params)
{
    return params[MODE] != PACED && params[SPEED] != SPEED_RECORDED
               ? "a speed is good for mode=paced only; leave it at 100"
               : NULL;
}

/* ---- setup ----------------------------------------------------------------------------------- */

struct flag_word {
    uint32_t flag;
    const char *word;
};

static void flag_each(struct trial *trial, const struct flag_word *words, uint32_t flags)
{
    for (; words->word != NULL; words++)
        if (flags & words->flag)
            trial_flag(trial, words->word);
}

/* What a reader of the row must know of the recording. */
static void flag_recording(struct trial *trial, const struct program_header *program)
{
    static const struct flag_word endings[] = {{TRACE_FORKED, "trace-forked"},
                                               {TRACE_REPLACED, "trace-replaced"},
                                               {TRACE_TRUNCATED, "trace-truncated"},
                                               {TRACE_CRASHED, "trace-crashed"},
                                               {TRACE_PARTIAL, "trace-partial"},
                                               {0, NULL}};
    static const struct flag_word lacks[] = {{TRACE_LACKS_TIMES, "trace-lacks-times"},
                                             {TRACE_LACKS_FINE_TIMES, "trace-lacks-times"},
                                             {TRACE_LACKS_THREADS, "trace-lacks-threads"},
                                             {TRACE_LACKS_CALLS, "trace-lacks-calls"},
                                             {TRACE_LACKS_REALLOCS, "trace-lacks-reallocs"},
                                             {TRACE_LACKS_IDENTITY, "trace-lacks-identity"},
                                             {0, NULL}};
    char sampled[32];
    snprintf(sampled, sizeof sampled, "trace-sampled=1/%u", program->sample);
    if (program->sample > 1)
        trial_flag(trial, sampled);
    if (program->is_cut)
        trial_flag(trial, "trace-cut");
    if (program->is_streamed)
        trial_flag(trial, "streamed");
    flag_each(trial, endings, program->flags);
    flag_each(trial, lacks, program->lacks);
}

static void setup_player(struct trial *trial, const struct program_header *program, uint32_t index,
                         shared_slot *shared)
{
    const struct program_player *part = &program_players(program)[index];
    struct player *p = trial_map(trial, sizeof *p);
    *p = (struct player){
        .program = program,
        .part = part,
        .buffer = program->is_streamed ? trial_map(trial, PROGRAM_CHUNK_BYTES) : NULL,
        .local = trial_map(trial, part->local_slots * sizeof *p->local),
        .shared = shared,
        .touch = (enum touch)trial_param(trial, TOUCH),
        .spins = trial_shares_cpus(trial) ? 0 : SPINS,
        .is_crossing = program->players > 1,
        .recorded_to_real = (double)SPEED_RECORDED / (double)trial_param(trial, SPEED),
        .mark_ns = trial_map(trial, part->marks * sizeof *p->mark_ns),
    };
    trial_worker(trial, index)->state = p;
}

static int check(struct trial *trial, const struct program_header *program, size_t bytes)
{
    if (bytes < sizeof *program || program->magic != PROGRAM_MAGIC ||
        program->version != PROGRAM_VERSION || bytes < program->head_bytes)
        trial_unsupported(trial, "the decoded trace is not of this version");
    else if (program->players != trial_thread_count(trial))
        trial_unsupported(trial, "the trace needs %u threads, and the trial has %u",
                          program->players, trial_thread_count(trial));
    else if (program->is_paced && (program->lacks & TRACE_LACKS_TIMES))
        trial_unsupported(trial, "the trace was imported from something that tells no times: "
                                 "mode=paced needs them");
    else
        return 0;
    return -ENOTSUP;
}

/* Of the one trial of this process. */
static struct fidelity_mark *marks;

static int setup(struct trial *trial)
{
    size_t bytes;
    const struct program_header *program = trial_input(trial, &bytes);
    int error = check(trial, program, bytes);
    if (error != 0)
        return error;
    shared_slot *shared = trial_map(trial, program->shared_slots * sizeof *shared);
    for (uint32_t i = 0; i < program->players; i++)
        setup_player(trial, program, i, shared);
    marks = fidelity_setup(trial, program);
    flag_recording(trial, program);
    return 0;
}

static void measured(struct trial *trial)
{
    size_t bytes;
    fidelity_measure(trial, trial_input(trial, &bytes), marks);
}

const struct workload workload_replay = {
    .name = "replay",
    .summary = "a recorded program's allocator calls, thread by thread",
    .source = "the recorded program itself",
    .work_unit = "passes over the trace",
    .options = options,
    .decoding = decoding,
    .paced_ns = paced_ns,
    .refusal = refusal,
    .setup = setup,
    .run = replay_play,
    .run_timed = replay_play_timed,
    .measured = measured,
};
