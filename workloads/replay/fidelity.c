/*
 * How true a replay was to its recording. Players note when they pass the marks in their words;
 * what had been done by then is known beforehand, so that both curves and both orders come out of
 * the times alone. Figures and their ranges are defined in docs/replay.md.
 */
#include "workloads/replay/player.h"

struct fidelity_mark {
    uint64_t events, time_ns; /* its places in the recording and in the replay */
    uint32_t player;
    int64_t live_bytes; /* of its player from here on */
};

/* The marks in recorded order, those in the replay's, and room to merge into. */
struct fidelity_mark *fidelity_setup(struct trial *trial, const struct program_header *program)
{
    return trial_map(trial, 3ul * program->marks * sizeof(struct fidelity_mark));
}

/* Parts in a million. `whole` is not 0. */
static uint64_t ppm(uint64_t part, uint64_t whole)
{
    return (uint64_t)(1e6 * (double)part / (double)whole + 0.5);
}

static void gather_marks(struct trial *trial, const struct program_header *program,
                         struct fidelity_mark *marks)
{
    const struct program_mark *known = program_marks(program);
    for (uint32_t i = 0; i < program->players; i++) {
        const struct player *p = trial_worker(trial, i)->state;
        for (uint32_t m = 0; m < p->part->marks; m++, known++, marks++)
            *marks = (struct fidelity_mark){.events = known->events,
                                            .time_ns = p->mark_ns[m],
                                            .player = i,
                                            .live_bytes = known->live_bytes};
    }
}

/* ---- orders ---------------------------------------------------------------------------------- */

static uint64_t key_of(const struct fidelity_mark *mark, bool recorded)
{
    return recorded ? mark->events : mark->time_ns;
}

/* Merges two sorted runs; returns how many pairs change places. */
static uint64_t merge(const struct fidelity_mark *left, uint32_t left_count,
                      const struct fidelity_mark *right, uint32_t right_count,
                      struct fidelity_mark *out, bool recorded)
{
    uint64_t moved = 0;
    while (left_count > 0 || right_count > 0) {
        bool takes_left = right_count == 0 ||
                          (left_count > 0 && key_of(left, recorded) <= key_of(right, recorded));
        if (takes_left) {
            *out++ = *left++;
            left_count--;
        } else {
            *out++ = *right++;
            right_count--;
            moved += left_count;
        }
    }
    return moved;
}

/* Stable; the C library's would allocate. Returns the pairs that were in another order. */
static uint64_t sort(struct fidelity_mark *marks, uint32_t count, struct fidelity_mark *scratch,
                     bool recorded)
{
    uint64_t moved = 0;
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t at = 0; at < count; at += 2 * width) {
            uint32_t left = count - at < width ? count - at : width;
            uint32_t right = count - at - left < width ? count - at - left : width;
            moved += merge(marks + at, left, marks + at + left, right, scratch + at, recorded);
        }
        memcpy(marks, scratch, count * sizeof *marks);
    }
    return moved;
}

static uint64_t pairs_of(uint64_t count)
{
    return count * (count - 1) / 2;
}

/* Pairs of marks of different players; those of one player are always in order. */
static uint64_t foreign_pairs(const struct program_header *program)
{
    uint64_t pairs = pairs_of(program->marks);
    for (uint32_t i = 0; i < program->players; i++)
        pairs -= pairs_of(program_players(program)[i].marks);
    return pairs;
}

/* ---- curves ---------------------------------------------------------------------------------- */

/* Replaces, in this order of marks, each player's live bytes by those of all. */
static void sum_up(struct trial *trial, struct fidelity_mark *marks, uint32_t count)
{
    int64_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct player *p = trial_worker(trial, marks[i].player)->state;
        all += marks[i].live_bytes - p->mark_live_bytes;
        p->mark_live_bytes = marks[i].live_bytes;
        marks[i].live_bytes = all;
    }
    for (uint32_t i = 0; i < count; i++)
        ((struct player *)trial_worker(trial, marks[i].player)->state)->mark_live_bytes = 0;
}

static uint64_t live_drift(const struct fidelity_mark *recorded,
                           const struct fidelity_mark *replayed,
                           const struct program_header *program)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < program->marks; i++) {
        int64_t apart = replayed[i].live_bytes - recorded[i].live_bytes;
        uint64_t distance = (uint64_t)(apart < 0 ? -apart : apart);
        most = distance > most ? distance : most;
    }
    return program->live_bytes_peak > 0 ? ppm(most, program->live_bytes_peak) : 0;
}

/* ---- shares ---------------------------------------------------------------------------------- */

static void tell_shares(struct trial *trial, const struct program_header *program)
{
    uint64_t wait_ns = 0, read_ns = 0, busy_ns = 0, late_ns = 0;
    for (uint32_t i = 0; i < program->players; i++) {
        const struct player *p = trial_worker(trial, i)->state;
        wait_ns += p->wait_ns;
        read_ns += p->read_ns;
        busy_ns += p->active_ns - p->idle_ns;
        late_ns = p->late_ns > late_ns ? p->late_ns : late_ns;
    }
    if (busy_ns == 0)
        return;
    trial_figure(trial, FIGURE_WAIT_PPM, ppm(wait_ns, busy_ns));
    if (program->is_streamed)
        trial_figure(trial, FIGURE_READ_PPM, ppm(read_ns, busy_ns));
    if (program->is_paced)
        trial_figure(trial, FIGURE_LATE_NS, late_ns);
}

/*
 * From the recorded order to the one of the replay: each pair of marks that has to change places
 * came in another order. Marks of the same moment keep the recorded one.
 */
void fidelity_measure(struct trial *trial, const struct program_header *program,
                      struct fidelity_mark *recorded)
{
    uint32_t count = program->marks;
    struct fidelity_mark *replayed = recorded + count, *scratch = replayed + count;
    uint64_t pairs = foreign_pairs(program);
    gather_marks(trial, program, recorded);
    sort(recorded, count, scratch, true);
    memcpy(replayed, recorded, count * sizeof *replayed);
    uint64_t moved = sort(replayed, count, scratch, false);
    if (pairs > 0)
        trial_figure(trial, FIGURE_ORDER_DRIFT_PPM, ppm(moved, pairs));
    sum_up(trial, recorded, count);
    sum_up(trial, replayed, count);
    trial_figure(trial, FIGURE_LIVE_DRIFT_PPM, live_drift(recorded, replayed, program));
    tell_shares(trial, program);
}
