/*
 * Two passes over the file. The first checks it, finds which objects are shared and how many words
 * each thread needs; the second writes the words. Which objects are shared is one bit for each
 * object, so that memory stays small beside the program itself.
 */
#include "workloads/trace/load.h"

#include "workloads/trace/program.h"
#include "workloads/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NO_SLOT UINT32_MAX

/* A thread of the program while it is being made. */
struct track {
    uint64_t words_max; /* room counted in the first pass */
    uint64_t used;
    uint64_t *words;
    uint32_t start_slot, end_slot; /* shared slots for SPAWN and JOIN; NO_SLOT: none */
    bool spawned, joined;
    uint32_t local_slots;
    uint32_t *vacant; /* local slots to use again, the last one first */
    uint32_t vacant_count, vacant_capacity;
};

struct loader {
    const char *path;
    char *error;
    size_t error_bytes;
    struct track *tracks;
    uint32_t threads;
    uint8_t *shared; /* one bit for each object */
    uint64_t shared_capacity, shared_count;
    uint32_t *places; /* for each slot of the trace, the local or shared slot of its object */
    uint32_t place_count, next_shared;
    struct program_header *header;
    struct trace_input *out;
};

static int fail(struct loader *l, int error, const char *what)
{
    snprintf(l->error, l->error_bytes, "'%s' %s", l->path, what);
    return error;
}

static int out_of_memory(struct loader *l)
{
    return fail(l, -ENOMEM, "needs more memory to replay than there is");
}

/* It can only differ from the first pass when someone wrote to the file meanwhile. */
static int changed(struct loader *l)
{
    return fail(l, -EINVAL, "changed while it was read");
}

/* ---- first pass: what is there --------------------------------------------------------------- */

static bool is_shared(const struct loader *l, uint64_t object)
{
    return object / 8 < l->shared_capacity && (l->shared[object / 8] >> object % 8 & 1);
}

static int mark_shared(struct loader *l, uint64_t object)
{
    if (object / 8 >= l->shared_capacity) {
        uint64_t capacity = object / 4 + 4096;
        uint8_t *shared = realloc(l->shared, capacity);
        if (shared == NULL)
            return out_of_memory(l);
        memset(shared + l->shared_capacity, 0, capacity - l->shared_capacity);
        l->shared = shared;
        l->shared_capacity = capacity;
    }
    l->shared[object / 8] |= (uint8_t)(1 << object % 8);
    l->shared_count++;
    return 0;
}

static unsigned wide_words(uint64_t size)
{
    return size >= PROGRAM_SIZE_MAX;
}

/* The most words that the event can need: a realloc is the longer if it turns out to be shared. */
static unsigned words_for(const struct trace_event *event)
{
    switch (event->op) {
    case TRACE_REALLOC: return 3 + wide_words(event->ended_size);
    case TRACE_FREE: return 1 + wide_words(event->ended_size);
    case TRACE_ALIGNED: return 2 + wide_words(event->size);
    default: return 1 + wide_words(event->size);
    }
}

static int survey_event(struct loader *l, const struct trace_event *event)
{
    l->tracks[event->thread].words_max += words_for(event);
    if (event->op == TRACE_SPAWN)
        l->tracks[event->other].spawned = true;
    if (event->op == TRACE_JOIN)
        l->tracks[event->other].joined = true;
    if (trace_ends(event->op) && event->ended_owner != event->thread)
        return mark_shared(l, event->ended_object);
    return 0;
}

/* Every thread needs its end and the end of its leftovers; some a signal or two. */
static int survey_ends(struct loader *l, const struct trace_rules *rules)
{
    for (uint32_t i = 0; i < l->threads; i++)
        l->tracks[i].words_max += 2 + l->tracks[i].spawned + l->tracks[i].joined;
    for (uint32_t i = 0; i < rules->slot_count; i++)
        if (rules->slots[i].live)
            l->tracks[rules->slots[i].owner].words_max += 1 + wide_words(rules->slots[i].size);
    return 0;
}

/* Calls `each` for every event, then `at_end`. */
static int read_all(struct loader *l, struct trace_reader *reader,
                    int (*each)(struct loader *, const struct trace_event *),
                    int (*at_end)(struct loader *, const struct trace_rules *))
{
    struct trace_event event;
    enum trace_next next;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        int error = each(l, &event);
        if (error != 0)
            return error;
    }
    if (next == TRACE_ERROR) {
        snprintf(l->error, l->error_bytes, "%s", trace_reader_error(reader));
        return -EINVAL;
    }
    return at_end(l, trace_reader_rules(reader));
}

static int survey(struct loader *l)
{
    struct trace_reader *reader;
    int error = trace_reader_open(&reader, l->path, l->error, l->error_bytes);
    if (error != 0)
        return error;
    const struct trace_file_header *header = trace_reader_header(reader);
    l->threads = header->threads;
    l->tracks = calloc(l->threads, sizeof *l->tracks);
    error = l->tracks == NULL ? out_of_memory(l) : read_all(l, reader, survey_event, survey_ends);
    l->out->threads = header->threads;
    l->out->events = header->events;
    l->out->live_bytes_peak = header->live_bytes_peak;
    l->place_count = (uint32_t)header->slots;
    trace_reader_close(reader);
    return error;
}

/* ---- the program's memory -------------------------------------------------------------------- */

static uint64_t program_bytes(const struct loader *l, uint64_t *words)
{
    *words = 0;
    for (uint32_t i = 0; i < l->threads; i++)
        *words += l->tracks[i].words_max;
    return sizeof(struct program_header) + l->threads * sizeof(struct program_thread) +
           *words * sizeof(uint64_t);
}

static int map_program(struct loader *l)
{
    uint64_t words, bytes = program_bytes(l, &words);
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (bytes > memory / 2 || l->shared_count + 2 * l->threads >= NO_SLOT)
        return out_of_memory(l);
    l->out->bytes = bytes;
    l->out->fd = memfd_create("heapmark-trace", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (l->out->fd < 0 || ftruncate(l->out->fd, (off_t)bytes) != 0)
        return out_of_memory(l);
    l->header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, l->out->fd, 0);
    if (l->header == MAP_FAILED)
        return out_of_memory(l);
    *l->header = (struct program_header){
        .magic = PROGRAM_MAGIC,
        .version = PROGRAM_VERSION,
        .threads = l->threads,
        .bytes = bytes,
        .words = words,
        .live_bytes_peak = l->out->live_bytes_peak,
        .events = l->out->events,
    };
    return 0;
}

/* ---- second pass: the words ------------------------------------------------------------------ */

static struct program_thread *thread_of(struct loader *l, uint32_t thread)
{
    return (struct program_thread *)(l->header + 1) + thread;
}

static int emit(struct loader *l, uint32_t thread, uint64_t word)
{
    struct track *track = &l->tracks[thread];
    if (track->used == track->words_max)
        return changed(l);
    track->words[track->used++] = word;
    return 0;
}

static int emit_sized(struct loader *l, uint32_t thread, enum program_op op, uint64_t size,
                      uint32_t slot)
{
    if (!wide_words(size))
        return emit(l, thread, program_word(op, size, slot));
    int error = emit(l, thread, (uint64_t)PROGRAM_WIDE | size << 4);
    return error != 0 ? error : emit(l, thread, program_word(op, 0, slot));
}

static uint32_t take_local(struct track *track)
{
    return track->vacant_count > 0 ? track->vacant[--track->vacant_count] : track->local_slots++;
}

static int give_local(struct loader *l, struct track *track, uint32_t slot)
{
    if (track->vacant_count == track->vacant_capacity) {
        uint32_t capacity = track->vacant_capacity ? 2 * track->vacant_capacity : 256;
        uint32_t *vacant = realloc(track->vacant, capacity * sizeof *vacant);
        if (vacant == NULL)
            return out_of_memory(l);
        track->vacant = vacant;
        track->vacant_capacity = capacity;
    }
    track->vacant[track->vacant_count++] = slot;
    return 0;
}

static uint32_t take_place(struct loader *l, const struct trace_event *event)
{
    bool shared = is_shared(l, event->object);
    return shared ? l->next_shared++ : take_local(&l->tracks[event->thread]);
}

static int emit_allocation(struct loader *l, const struct trace_event *event)
{
    static const enum program_op ops[][2] = {
        [TRACE_MALLOC] = {PROGRAM_MALLOC, PROGRAM_SHARED_MALLOC},
        [TRACE_CALLOC] = {PROGRAM_CALLOC, PROGRAM_SHARED_CALLOC},
        [TRACE_ALIGNED] = {PROGRAM_ALIGNED, PROGRAM_SHARED_ALIGNED},
    };
    uint32_t place = l->places[event->slot] = take_place(l, event);
    int error = emit_sized(l, event->thread, ops[event->op][is_shared(l, event->object)],
                           event->size, place);
    if (error != 0 || event->op != TRACE_ALIGNED)
        return error;
    /* posix_memalign takes no alignment below a pointer's */
    uint64_t alignment = UINT64_C(1) << event->alignment_log2;
    return emit(l, event->thread, alignment < sizeof(void *) ? sizeof(void *) : alignment);
}

static int emit_free(struct loader *l, const struct trace_event *event)
{
    bool shared = is_shared(l, event->ended_object);
    uint32_t place = l->places[event->slot];
    int error = emit_sized(l, event->thread, shared ? PROGRAM_SHARED_FREE : PROGRAM_FREE,
                           event->ended_size, place);
    return error != 0 || shared ? error : give_local(l, &l->tracks[event->thread], place);
}

static int emit_shared_realloc(struct loader *l, const struct trace_event *event)
{
    uint32_t old_place = l->places[event->slot];
    uint64_t flags = is_shared(l, event->object) ? PROGRAM_NEW_SHARED : 0;
    if (is_shared(l, event->ended_object))
        flags |= PROGRAM_OLD_SHARED;
    else if (give_local(l, &l->tracks[event->thread], old_place) != 0)
        return -ENOMEM;
    uint32_t place = l->places[event->slot] = take_place(l, event);
    int error = emit_sized(l, event->thread, PROGRAM_SHARED_REALLOC, event->ended_size, old_place);
    if (error == 0)
        error = emit(l, event->thread, event->size);
    return error != 0 ? error : emit(l, event->thread, flags | (uint64_t)place << 32);
}

static int emit_realloc(struct loader *l, const struct trace_event *event)
{
    if (is_shared(l, event->object) || is_shared(l, event->ended_object))
        return emit_shared_realloc(l, event);
    int error =
        emit_sized(l, event->thread, PROGRAM_REALLOC, event->ended_size, l->places[event->slot]);
    return error != 0 ? error : emit(l, event->thread, event->size);
}

static int emit_event(struct loader *l, const struct trace_event *event)
{
    if (event->thread >= l->threads || event->slot > l->place_count)
        return changed(l);
    if (trace_allocates(event->op) || event->op == TRACE_FREE)
        thread_of(l, event->thread)->calls++;
    switch (event->op) {
    case TRACE_FREE: return emit_free(l, event);
    case TRACE_REALLOC: return emit_realloc(l, event);
    case TRACE_SPAWN:
        return emit(l, event->thread,
                    program_word(PROGRAM_SIGNAL, 0, l->tracks[event->other].start_slot));
    case TRACE_JOIN:
        return emit(l, event->thread,
                    program_word(PROGRAM_AWAIT, 0, l->tracks[event->other].end_slot));
    default: return emit_allocation(l, event);
    }
}

static int begin_tracks(struct loader *l)
{
    uint64_t *words = (uint64_t *)program_words(l->header), first = 0;
    for (uint32_t i = 0; i < l->threads; i++) {
        struct track *track = &l->tracks[i];
        track->words = words + first;
        thread_of(l, i)->first_word = first;
        first += track->words_max;
        track->start_slot = track->spawned ? l->next_shared++ : NO_SLOT;
        track->end_slot = track->joined ? l->next_shared++ : NO_SLOT;
        int error =
            track->spawned ? emit(l, i, program_word(PROGRAM_AWAIT, 0, track->start_slot)) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static int end_tracks(struct loader *l)
{
    for (uint32_t i = 0; i < l->threads; i++) {
        struct track *track = &l->tracks[i];
        int error =
            track->joined ? emit(l, i, program_word(PROGRAM_SIGNAL, 0, track->end_slot)) : 0;
        if (error == 0)
            error = emit(l, i, program_word(PROGRAM_END, 0, 0));
        if (error != 0)
            return error;
        thread_of(l, i)->first_leftover = thread_of(l, i)->first_word + track->used;
    }
    return 0;
}

/* What the recording left is always local: an object is shared only if another thread ends it. */
static int emit_leftovers(struct loader *l, const struct trace_rules *rules)
{
    int error = end_tracks(l);
    for (uint32_t i = 0; i < rules->slot_count && error == 0; i++) {
        const struct trace_slot *slot = &rules->slots[i];
        if (!slot->live)
            continue;
        thread_of(l, slot->owner)->calls++;
        error = emit_sized(l, slot->owner, PROGRAM_FREE, slot->size, l->places[i]);
    }
    for (uint32_t i = 0; i < l->threads && error == 0; i++) {
        error = emit(l, i, program_word(PROGRAM_END, 0, 0));
        thread_of(l, i)->local_slots = l->tracks[i].local_slots;
    }
    l->header->shared_slots = l->next_shared;
    return error;
}

static int write_program(struct loader *l)
{
    struct trace_reader *reader;
    int error = trace_reader_open(&reader, l->path, l->error, l->error_bytes);
    if (error != 0)
        return error;
    error = trace_reader_header(reader)->threads == l->threads ? begin_tracks(l) : changed(l);
    if (error == 0)
        error = read_all(l, reader, emit_event, emit_leftovers);
    trace_reader_close(reader);
    return error;
}

static int seal(struct loader *l)
{
    munmap(l->header, l->out->bytes);
    l->header = NULL;
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (fcntl(l->out->fd, F_ADD_SEALS, seals) != 0)
        return fail(l, -errno, "cannot be sealed in memory");
    return 0;
}

static int load(struct loader *l)
{
    int error = survey(l);
    if (error == 0)
        error = map_program(l);
    if (error != 0)
        return error;
    l->places = calloc((size_t)l->place_count + 1, sizeof *l->places);
    if (l->places == NULL)
        return out_of_memory(l);
    error = write_program(l);
    return error != 0 ? error : seal(l);
}

static void release_loader(struct loader *l)
{
    for (uint32_t i = 0; l->tracks != NULL && i < l->threads; i++)
        free(l->tracks[i].vacant);
    free(l->tracks);
    free(l->shared);
    free(l->places);
    if (l->header != NULL && l->header != MAP_FAILED)
        munmap(l->header, l->out->bytes);
}

int trace_load(const char *path, struct trace_input *out, char *error, size_t error_bytes)
{
    *out = (struct trace_input){.fd = -1};
    struct loader loader = {.path = path, .error = error, .error_bytes = error_bytes, .out = out};
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
