#include "workloads/trace/survey.h"

#include "workloads/trace/program.h"
#include "workloads/trace/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int survey_fail(struct survey *s, int error, const char *what)
{
    snprintf(s->error, s->error_bytes, "'%s' %s", s->path, what);
    return error;
}

static int out_of_memory(struct survey *s)
{
    return survey_fail(s, -ENOMEM, "needs more memory to replay than there is");
}

/* ---- who ends what --------------------------------------------------------------------------- */

/* Mapped, and so never copied when it grows: it may have an entry for each of 10^8 objects. */
static int grow_takers(struct survey *s, uint64_t object)
{
    uint64_t capacity = object + object / 2 + (1 << 16);
    size_t bytes = capacity * sizeof *s->takers, old_bytes = s->takers_capacity * sizeof *s->takers;
    void *takers = s->takers == NULL ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                                     : mremap(s->takers, old_bytes, bytes, MREMAP_MAYMOVE);
    if (takers == MAP_FAILED)
        return out_of_memory(s);
    s->takers = takers;
    s->takers_capacity = capacity;
    return 0;
}

/* An entry is the thread plus 1, so that fresh pages, which are never touched, say nobody. */
static int note_taker(struct survey *s, uint64_t object, uint32_t thread)
{
    if (object >= s->takers_capacity && grow_takers(s, object) != 0)
        return -ENOMEM;
    s->takers[object] = (uint16_t)(thread + 1);
    return 0;
}

uint32_t survey_taker(const struct survey *s, uint32_t maker, uint64_t object)
{
    if (object >= s->takers_capacity || s->takers[object] == 0)
        return s->threads[maker].player;
    return s->threads[s->takers[object] - 1u].player;
}

/* ---- the events ------------------------------------------------------------------------------ */

static unsigned wide_words(uint64_t size)
{
    return size > PROGRAM_SIZE_MAX ? 2 : 0;
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

static int survey_event(struct survey *s, const struct trace_event *event, uint64_t number)
{
    struct survey_thread *thread = &s->threads[event->thread];
    if (thread->events++ == 0)
        thread->first = number;
    thread->last = number;
    s->words += words_for(event);
    if (event->op == TRACE_SPAWN)
        s->threads[event->other].starter = event->thread;
    if (event->op == TRACE_JOIN)
        s->threads[event->other].joiner = event->thread;
    if (trace_ends(event->op) && event->ended_owner != event->thread)
        return note_taker(s, event->ended_object, event->thread);
    return 0;
}

static int read_events(struct survey *s, struct trace_reader *reader)
{
    struct trace_event event;
    enum trace_next next;
    uint64_t number = 0;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        int error = survey_event(s, &event, number++);
        if (error != 0)
            return error;
    }
    if (next == TRACE_END) {
        s->header = *trace_reader_header(reader); /* a recorded trace's totals are known only now */
        s->words += 3 * trace_reader_rules(reader)->live_objects;
        return 0;
    }
    snprintf(s->error, s->error_bytes, "%s", trace_reader_error(reader));
    return -EINVAL;
}

/* ---- players --------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
    const struct survey_thread *x = *(struct survey_thread *const *)a,
                               *y = *(struct survey_thread *const *)b;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_last(const void *a, const void *b)
{
    const struct survey_thread *x = *(struct survey_thread *const *)a,
                               *y = *(struct survey_thread *const *)b;
    return (x->last > y->last) - (x->last < y->last);
}

/*
 * Colours an interval graph: threads in order of their beginnings, each with the player whose thread
 * ended last, as C libraries hand out what an ended thread leaves (stacks, arenas), or a new one.
 */
static void assign_players(struct survey *s, struct survey_thread **beginning,
                           struct survey_thread **ending, uint32_t *idle, uint32_t count)
{
    uint32_t ended = 0, idle_count = 0;
    qsort(beginning, count, sizeof *beginning, by_first);
    qsort(ending, count, sizeof *ending, by_last);
    for (uint32_t i = 0; i < count; i++) {
        for (; ending[ended]->last < beginning[i]->first; ended++)
            idle[idle_count++] = ending[ended]->player;
        beginning[i]->player = idle_count > 0 ? idle[--idle_count] : s->players++;
    }
}

static int hand_out_players(struct survey *s)
{
    uint32_t threads = s->header.threads, count = 0;
    struct survey_thread **beginning = calloc(2ul * threads, sizeof *beginning);
    uint32_t *idle = calloc(threads, sizeof *idle);
    if (beginning == NULL || idle == NULL) {
        free(beginning);
        free(idle);
        return out_of_memory(s);
    }
    struct survey_thread **ending = beginning + threads;
    for (uint32_t i = 0; i < threads; i++)
        if (s->threads[i].events > 0)
            beginning[count] = ending[count] = &s->threads[i], count++;
    assign_players(s, beginning, ending, idle, count);
    free(beginning);
    free(idle);
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int prepare(struct survey *s, const struct trace_reader *reader)
{
    s->header = *trace_reader_header(reader);
    s->threads = calloc(s->header.threads, sizeof *s->threads);
    if (s->threads == NULL)
        return out_of_memory(s);
    for (uint32_t i = 0; i < s->header.threads; i++)
        s->threads[i] = (struct survey_thread){.first = SURVEY_NEVER,
                                               .starter = SURVEY_NOBODY,
                                               .joiner = SURVEY_NOBODY};
    return 0;
}

int survey_read(struct survey *s, bool is_serial)
{
    struct trace_reader *reader;
    int error = trace_reader_open(&reader, s->path, s->error, s->error_bytes);
    if (error != 0)
        return error;
    error = prepare(s, reader);
    if (error == 0)
        error = read_events(s, reader);
    trace_reader_close(reader);
    if (error == 0 && !is_serial)
        error = hand_out_players(s);
    if (s->players == 0)
        s->players = 1; /* which then has all there is */
    return error;
}

void survey_release(struct survey *s)
{
    if (s->takers != NULL)
        munmap(s->takers, s->takers_capacity * sizeof *s->takers);
    free(s->threads);
}
