/*
 * Two passes over the trace. The first (survey.h) checks it and finds which objects are shared; the
 * second writes the words. Neither keeps more than what lives at one time, so that a trace may be
 * much larger than memory.
 */
#include "workloads/trace/load.h"

#include "util/errno_text.h"
#include "workloads/trace/places.h"
#include "workloads/trace/program.h"
#include "workloads/trace/reader.h"
#include "workloads/trace/survey.h"
#include "workloads/trace/words.h"

#include "include/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Some 2,000 marks cost nothing to speak of and tell curves apart to less than a thousandth. */
enum { MARKS_AIMED_AT = 2048, MARK_EVENTS_MIN = 1024, PAGE_BYTES = 4096 };

/* A player of the program while it is being made. */
struct track {
    struct program_player player;
    struct local_places places;
    struct program_mark *marks; /* in the head */
    uint32_t marks_left;
    uint64_t events, last_event, time_ns;
    int64_t live_bytes;
};

struct loader {
    const struct trace_load_options *options;
    struct survey survey;
    struct track *tracks; /* survey.players of them */
    struct shared_places shared;
    uint32_t *places;    /* for each slot of the trace, the local or shared slot of its object */
    uint32_t *end_slots; /* for each thread that somebody joins */
    uint32_t *start_slots;
    uint64_t mark_events; /* of a player, from mark to mark */
    uint64_t number;      /* of the event */
    double ns_per_tick;
    struct words words;
    struct program_header *head;
    struct trace_input *out;
};

static int out_of_memory(struct loader *l)
{
    return survey_fail(&l->survey, -ENOMEM, "needs more memory to replay than there is");
}

/* It can only differ from the first pass when someone wrote to the file meanwhile. */
static int changed(struct loader *l)
{
    return survey_fail(&l->survey, -EINVAL, "changed while it was read");
}

static int cannot_write(struct loader *l, int error)
{
    char what[160];
    snprintf(what, sizeof what,
             "is decoded into a file in $TMPDIR or /var/tmp, which cannot be written: %s",
             errno_text(-error));
    return error == -ENOMEM ? out_of_memory(l) : survey_fail(&l->survey, error, what);
}

/* ---- the program's file ---------------------------------------------------------------------- */

static uint32_t player_of(const struct loader *l, uint32_t thread)
{
    return l->survey.threads[thread].player;
}

/* One whenever a player has made so many events, and one at its end. */
static uint32_t count_marks(struct loader *l)
{
    uint64_t events = l->survey.header.events, marks = 0;
    l->mark_events = events / MARKS_AIMED_AT;
    if (l->mark_events < MARK_EVENTS_MIN)
        l->mark_events = MARK_EVENTS_MIN;
    for (uint32_t i = 0; i < l->survey.header.threads; i++)
        l->tracks[player_of(l, i)].events += l->survey.threads[i].events;
    for (uint32_t i = 0; i < l->survey.players; i++) {
        struct track *track = &l->tracks[i];
        track->player.marks = (uint32_t)(track->events / l->mark_events) + 1;
        marks += track->player.marks;
        track->events = 0;
    }
    return (uint32_t)marks;
}

static int make_head(struct loader *l)
{
    const struct trace_file_header *trace = &l->survey.header;
    uint32_t marks = count_marks(l);
    uint64_t bytes = sizeof *l->head + l->survey.players * sizeof(struct program_player) +
                     marks * sizeof(struct program_mark);
    bytes = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    l->head = calloc(1, bytes);
    if (l->head == NULL)
        return out_of_memory(l);
    *l->head = (struct program_header){.magic = PROGRAM_MAGIC,
                                       .version = PROGRAM_VERSION,
                                       .players = l->survey.players,
                                       .head_bytes = bytes,
                                       .live_bytes_peak = trace->live_bytes_peak,
                                       .events = trace->events,
                                       .marks = marks,
                                       .is_paced = l->options->is_paced,
                                       .flags = trace->flags,
                                       .sample = trace->sample,
                                       .lacks = trace->lacks,
                                       .is_cut = trace->front_events > 0,
                                       .threads = trace->threads};
    struct program_mark *at = (struct program_mark *)program_marks(l->head);
    for (uint32_t i = 0; i < l->survey.players; i++) {
        l->tracks[i].marks = at;
        l->tracks[i].marks_left = l->tracks[i].player.marks;
        at += l->tracks[i].player.marks;
    }
    return 0;
}

static int open_spool(void)
{
    const char *directory = getenv("TMPDIR");
    int fd = -1;
    if (directory != NULL && *directory != '\0')
        fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int open_file(struct loader *l)
{
    uint64_t words = l->survey.words + (l->options->is_paced ? l->survey.header.events : 0);
    uint64_t bytes = words * sizeof(uint64_t) + l->survey.players * PROGRAM_CHUNK_BYTES;
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    l->head->is_streamed = bytes > l->options->memory_bytes;
    if (!l->head->is_streamed && bytes > memory / 2)
        return out_of_memory(l);
    l->out->fd = l->head->is_streamed
                     ? open_spool()
                     : memfd_create("heapmark-trace", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    l->words = (struct words){.fd = l->out->fd, .head_bytes = l->head->head_bytes};
    l->words.lanes = calloc(l->survey.players, sizeof *l->words.lanes);
    if (l->words.lanes == NULL)
        return out_of_memory(l);
    return l->out->fd < 0 ? cannot_write(l, -errno) : 0;
}

/* ---- times ----------------------------------------------------------------------------------- */

static uint64_t paced_time(uint64_t ticks, double ns_per_tick)
{
    uint64_t ns = trace_scaled_time(ticks, ns_per_tick);
    return ns < PROGRAM_PACE_MAX ? ns : PROGRAM_PACE_MAX;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int emit_group(struct loader *l, uint32_t player, const uint64_t *group, unsigned count)
{
    int error = words_put(&l->words, player, group, count);
    return error != 0 ? cannot_write(l, error) : 0;
}

static int emit(struct loader *l, uint32_t player, uint64_t word)
{
    return emit_group(l, player, &word, 1);
}

/* Puts a word with a size, and what a size too wide for it needs before it. Returns how many. */
static unsigned sized_words(uint64_t *group, enum program_op op, uint64_t size, uint32_t slot)
{
    if (size <= PROGRAM_SIZE_MAX) {
        group[0] = program_word(op, size, slot);
        return 1;
    }
    group[0] = PROGRAM_WIDE;
    group[1] = size;
    group[2] = program_word(op, 0, slot);
    return 3;
}

static enum program_op local_malloc(uint64_t size)
{
    return stamp_is_odd(size) ? PROGRAM_ODD_MALLOC : PROGRAM_MALLOC;
}

static enum program_op local_free(uint64_t size)
{
    return stamp_is_odd(size) ? PROGRAM_ODD_FREE : PROGRAM_FREE;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int take_place(struct loader *l, uint32_t maker, uint32_t taker, uint32_t *place)
{
    *place = maker == taker ? local_take(&l->tracks[maker].places)
                            : shared_take(&l->shared, maker, taker);
    return *place != UINT32_MAX ? 0 : out_of_memory(l);
}

static int give_place(struct loader *l, uint32_t maker, uint32_t taker, uint32_t place)
{
    int error = maker == taker ? local_give(&l->tracks[maker].places, place)
                               : shared_give(&l->shared, maker, taker, place);
    return error != 0 ? out_of_memory(l) : 0;
}

/* The player that will end the object which the event makes. */
static uint32_t taker_of(const struct loader *l, const struct trace_event *event)
{
    return survey_taker(&l->survey, event->thread, event->object);
}

/* ---- events ---------------------------------------------------------------------------------- */

static int emit_allocation(struct loader *l, const struct trace_event *event)
{
    static const enum program_op ops[][2] = {
        [TRACE_MALLOC] = {PROGRAM_MALLOC, PROGRAM_SHARED_MALLOC},
        [TRACE_CALLOC] = {PROGRAM_CALLOC, PROGRAM_SHARED_CALLOC},
        [TRACE_ALIGNED] = {PROGRAM_ALIGNED, PROGRAM_SHARED_ALIGNED},
    };
    uint32_t maker = player_of(l, event->thread), taker = taker_of(l, event), place;
    int error = take_place(l, maker, taker, &place);
    if (error != 0)
        return error;
    l->places[event->slot] = place;
    uint64_t group[4];
    enum program_op op = ops[event->op][maker != taker];
    if (op == PROGRAM_MALLOC)
        op = local_malloc(event->size);
    unsigned count = sized_words(group, op, event->size, place);
    /* posix_memalign takes no alignment below a pointer's */
    uint64_t alignment = UINT64_C(1) << event->alignment_log2;
    if (event->op == TRACE_ALIGNED)
        group[count++] = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return emit_group(l, maker, group, count);
}

static int emit_free(struct loader *l, const struct trace_event *event)
{
    uint32_t maker = player_of(l, event->ended_owner), taker = player_of(l, event->thread);
    uint32_t place = l->places[event->slot];
    uint64_t group[3];
    enum program_op op = maker != taker ? PROGRAM_SHARED_FREE : local_free(event->ended_size);
    unsigned count = sized_words(group, op, event->ended_size, place);
    int error = give_place(l, maker, taker, place);
    return error != 0 ? error : emit_group(l, taker, group, count);
}

static int emit_realloc(struct loader *l, const struct trace_event *event)
{
    uint32_t self = player_of(l, event->thread), maker = player_of(l, event->ended_owner),
             taker = taker_of(l, event), old_place = l->places[event->slot], place;
    uint64_t group[5],
        flags = (maker != self ? PROGRAM_OLD_SHARED : 0) | (taker != self ? PROGRAM_NEW_SHARED : 0);
    unsigned count = sized_words(group, flags != 0 ? PROGRAM_SHARED_REALLOC : PROGRAM_REALLOC,
                                 event->ended_size, old_place);
    group[count++] = event->size;
    if (flags == 0) /* it stays where it is */
        return emit_group(l, self, group, count);
    int error = take_place(l, self, taker, &place);
    if (error == 0)
        error = give_place(l, maker, self, old_place);
    if (error != 0)
        return error;
    l->places[event->slot] = place;
    group[count++] = flags | (uint64_t)place << 32;
    return emit_group(l, self, group, count);
}

/* A thread that never called the allocator is in no program, and one of the same player waits for
 * nothing. */
static bool is_crossing(const struct loader *l, uint32_t thread, uint32_t other)
{
    return thread != SURVEY_NOBODY && l->survey.threads[other].events > 0 &&
           player_of(l, thread) != player_of(l, other);
}

static int signal_other(struct loader *l, uint32_t from, uint32_t to, uint32_t *slot)
{
    int error = take_place(l, from, to, slot);
    return error != 0 ? error : emit(l, from, program_word(PROGRAM_SIGNAL, 0, *slot));
}

static int await_other(struct loader *l, uint32_t from, uint32_t to, uint32_t slot,
                       enum program_wait wait)
{
    int error = give_place(l, from, to, slot);
    return error != 0 ? error : emit(l, to, program_word(PROGRAM_AWAIT, wait, slot));
}

static int emit_spawn(struct loader *l, const struct trace_event *event)
{
    if (!is_crossing(l, event->thread, event->other))
        return 0;
    return signal_other(l, player_of(l, event->thread), player_of(l, event->other),
                        &l->start_slots[event->other]);
}

static int emit_join(struct loader *l, const struct trace_event *event)
{
    if (!is_crossing(l, event->thread, event->other))
        return 0;
    return await_other(l, player_of(l, event->other), player_of(l, event->thread),
                       l->end_slots[event->other], PROGRAM_WAIT_END);
}

static int emit_operation(struct loader *l, const struct trace_event *event)
{
    switch (event->op) {
    case TRACE_FREE: return emit_free(l, event);
    case TRACE_REALLOC: return emit_realloc(l, event);
    case TRACE_SPAWN: return emit_spawn(l, event);
    case TRACE_JOIN: return emit_join(l, event);
    default: return emit_allocation(l, event);
    }
}

/* ---- around them ----------------------------------------------------------------------------- */

static int emit_beginning(struct loader *l, uint32_t thread)
{
    uint32_t starter = l->survey.threads[thread].starter;
    if (!is_crossing(l, starter, thread))
        return 0;
    return await_other(l, player_of(l, starter), player_of(l, thread), l->start_slots[thread],
                       PROGRAM_WAIT_START);
}

static int emit_ending(struct loader *l, uint32_t thread)
{
    uint32_t joiner = l->survey.threads[thread].joiner;
    if (!is_crossing(l, joiner, thread))
        return 0;
    return signal_other(l, player_of(l, thread), player_of(l, joiner), &l->end_slots[thread]);
}

static int emit_pace(struct loader *l, const struct trace_event *event)
{
    struct track *track = &l->tracks[player_of(l, event->thread)];
    uint64_t ns = paced_time(event->time, l->ns_per_tick);
    if (!l->options->is_paced || ns == track->time_ns)
        return 0;
    track->time_ns = ns;
    return emit(l, player_of(l, event->thread), (uint64_t)PROGRAM_PACE | ns << 8);
}

static int emit_mark(struct loader *l, struct track *track)
{
    if (track->marks_left-- == 0)
        return changed(l);
    *track->marks++ =
        (struct program_mark){.events = track->last_event, .live_bytes = track->live_bytes};
    return emit(l, (uint32_t)(track - l->tracks), program_word(PROGRAM_CONTROL, PROGRAM_MARK, 0));
}

static int account(struct loader *l, const struct trace_event *event)
{
    struct track *track = &l->tracks[player_of(l, event->thread)];
    if (trace_allocates(event->op))
        track->live_bytes += (int64_t)event->size;
    if (trace_ends(event->op))
        track->live_bytes -= (int64_t)event->ended_size;
    track->player.calls += trace_allocates(event->op) || event->op == TRACE_FREE;
    track->last_event = l->number;
    return ++track->events % l->mark_events == 0 ? emit_mark(l, track) : 0;
}

static int emit_event(struct loader *l, const struct trace_event *event)
{
    if (event->thread >= l->survey.header.threads || event->slot >= l->survey.header.slots + 1)
        return changed(l);
    const struct survey_thread *thread = &l->survey.threads[event->thread];
    int error = l->number == thread->first ? emit_beginning(l, event->thread) : 0;
    if (error == 0)
        error = emit_pace(l, event);
    if (error == 0)
        error = emit_operation(l, event);
    if (error == 0)
        error = account(l, event);
    if (error == 0 && l->number == thread->last)
        error = emit_ending(l, event->thread);
    l->number++;
    return error;
}

/* What the recording left is always its maker's: an object is shared only if another one ends it. */
static int emit_leftovers(struct loader *l, const struct trace_rules *rules)
{
    int error = 0;
    for (uint32_t i = 0; i < l->survey.players && error == 0; i++) {
        error = emit_mark(l, &l->tracks[i]);
        if (error == 0)
            error = emit(l, i, program_word(PROGRAM_END, 0, 0));
    }
    for (uint32_t i = 0; i < rules->slot_count && error == 0; i++) {
        const struct trace_slot *slot = &rules->slots[i];
        uint64_t group[3];
        if (!slot->live)
            continue;
        uint32_t player = player_of(l, slot->owner);
        l->tracks[player].player.calls++;
        error = emit_group(l, player, group,
                           sized_words(group, local_free(slot->size), slot->size, l->places[i]));
    }
    for (uint32_t i = 0; i < l->survey.players && error == 0; i++)
        error = emit(l, i, program_word(PROGRAM_END, 0, 0));
    return error;
}

static int emit_all(struct loader *l, struct trace_reader *reader)
{
    struct trace_event event;
    enum trace_next next;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        int error = emit_event(l, &event);
        if (error != 0)
            return error;
    }
    if (next == TRACE_END && l->number == l->survey.header.events)
        return emit_leftovers(l, trace_reader_rules(reader));
    return changed(l);
}

static int write_words(struct loader *l)
{
    struct trace_reader *reader;
    struct survey *survey = &l->survey;
    int error = trace_reader_open(&reader, survey->path, survey->error, survey->error_bytes);
    if (error != 0)
        return error;
    error = trace_reader_header(reader)->threads == survey->header.threads ? emit_all(l, reader)
                                                                           : changed(l);
    trace_reader_close(reader);
    return error;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int write_head(struct loader *l)
{
    struct program_player *players = (struct program_player *)program_players(l->head);
    for (uint32_t i = 0; i < l->survey.players; i++) {
        players[i] = l->tracks[i].player;
        players[i].first_chunk = l->words.lanes[i].first_chunk;
        players[i].local_slots = l->tracks[i].places.count;
    }
    l->head->shared_slots = l->shared.count;
    l->head->chunks = l->words.chunks;
    ssize_t wrote = pwrite(l->out->fd, l->head, l->head->head_bytes, 0);
    if (wrote != (ssize_t)l->head->head_bytes)
        return cannot_write(l, wrote < 0 ? -errno : -ENOSPC);
    l->out->bytes = l->head->head_bytes;
    if (!l->head->is_streamed)
        l->out->bytes += l->words.chunks * PROGRAM_CHUNK_BYTES;
    return 0;
}

static int seal(struct loader *l)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (!l->head->is_streamed && fcntl(l->out->fd, F_ADD_SEALS, seals) != 0)
        return survey_fail(&l->survey, -errno, "cannot be sealed in memory");
    return 0;
}

static int prepare(struct loader *l)
{
    const struct trace_file_header *trace = &l->survey.header;
    l->ns_per_tick = 1e9 / (double)trace->ticks_hz;
    l->out->recorded_ns = paced_time(trace->duration_ticks, l->ns_per_tick);
    l->out->players = l->survey.players;
    l->out->threads = trace->threads;
    l->out->events = trace->events;
    l->out->live_bytes_peak = trace->live_bytes_peak;
    l->out->unknown_frees = trace->unknown_frees;
    l->out->lost_frees = trace->lost_frees;
    l->tracks = calloc(l->survey.players, sizeof *l->tracks);
    l->places = calloc((size_t)trace->slots + 1, sizeof *l->places);
    l->start_slots = calloc(trace->threads, sizeof *l->start_slots);
    l->end_slots = calloc(trace->threads, sizeof *l->end_slots);
    if (l->tracks == NULL || l->places == NULL || l->start_slots == NULL || l->end_slots == NULL)
        return out_of_memory(l);
    int error = make_head(l);
    return error != 0 ? error : open_file(l);
}

static int load(struct loader *l)
{
    int error = survey_read(&l->survey, l->options->is_serial);
    if (error == 0)
        error = prepare(l);
    if (error != 0)
        return error;
    error = write_words(l);
    int finished = words_finish(&l->words, l->survey.players);
    if (error == 0 && finished != 0)
        error = cannot_write(l, finished);
    if (error == 0)
        error = write_head(l);
    return error != 0 ? error : seal(l);
}

static void release_loader(struct loader *l)
{
    for (uint32_t i = 0; l->tracks != NULL && i < l->survey.players; i++)
        free(l->tracks[i].places.vacant);
    free(l->tracks);
    free(l->places);
    free(l->start_slots);
    free(l->end_slots);
    free(l->words.lanes);
    free(l->head);
    shared_release(&l->shared);
    survey_release(&l->survey);
}

int trace_load(const char *path, const struct trace_load_options *options, struct trace_input *out,
               char *error, size_t error_bytes)
{
    *out = (struct trace_input){.fd = -1};
    struct loader loader = {.options = options,
                            .survey = {.path = path, .error = error, .error_bytes = error_bytes},
                            .out = out};
    int result = load(&loader);
    release_loader(&loader);
    if (result != 0)
        trace_input_release(out);
    return result;
}

void trace_input_release(struct trace_input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    *input = (struct trace_input){.fd = -1};
}
