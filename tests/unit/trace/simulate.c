#include "simulate.h"

#include "workloads/trace/program.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define VACANT UINT64_MAX /* otherwise the size of the object in the slot */

struct actor {
    const uint64_t *next, *end;
    uint64_t *local;
    uint32_t local_slots;
    uint64_t calls;
    bool at_leftovers, done;
};

struct stage {
    const struct program_header *header;
    const uint64_t *words_end;
    uint64_t *shared;
    struct actor *actors;
    const char *fault;
};

static uint64_t *new_slots(uint64_t count)
{
    uint64_t *slots = malloc((count + 1) * sizeof *slots);
    for (uint64_t i = 0; i < count; i++)
        slots[i] = VACANT;
    return slots;
}

static void require(struct stage *s, bool condition, const char *fault)
{
    if (!condition && s->fault == NULL)
        s->fault = fault;
}

static void make(struct stage *s, uint64_t *slots, uint32_t count, uint32_t slot, uint64_t size)
{
    require(s, slot < count, "a slot is out of range");
    if (s->fault != NULL)
        return;
    require(s, slots[slot] == VACANT, "a slot is taken twice");
    slots[slot] = size;
}

static void end(struct stage *s, uint64_t *slots, uint32_t count, uint32_t slot, uint64_t size)
{
    require(s, slot < count, "a slot is out of range");
    if (s->fault != NULL)
        return;
    require(s, slots[slot] == size, "an object ends that is not there, or with another size");
    slots[slot] = VACANT;
}

/* Whether the word's shared slot is there yet. Ranges are checked by its use. */
static bool must_wait(const struct stage *s, uint32_t slot)
{
    return slot < s->header->shared_slots && s->shared[slot] == VACANT;
}

static uint64_t take_word(struct stage *s, struct actor *a)
{
    require(s, a->next < s->words_end, "the words run over");
    return s->fault == NULL ? *a->next++ : 0;
}

/* Runs one word; false when it must wait. */
static bool step(struct stage *s, struct actor *a)
{
    const uint64_t *before = a->next;
    uint64_t code = take_word(s, a), size = (uint32_t)code >> 4;
    if ((code & 15) == PROGRAM_WIDE) {
        size = code >> 4;
        code = take_word(s, a);
        require(s, size >= PROGRAM_SIZE_MAX, "a small size stands in a wide word");
    }
    uint32_t slot = (uint32_t)(code >> 32), locals = a->local_slots,
             shareds = s->header->shared_slots;
    a->calls++;
    switch ((enum program_op)(code & 15)) {
    case PROGRAM_ALIGNED:
    case PROGRAM_SHARED_ALIGNED: {
        uint64_t alignment = take_word(s, a);
        require(s, alignment >= 8 && (alignment & (alignment - 1)) == 0,
                "an alignment is no power of two");
    }
        if ((code & 15) == PROGRAM_SHARED_ALIGNED)
            make(s, s->shared, shareds, slot, size);
        else
            make(s, a->local, locals, slot, size);
        return true;
    case PROGRAM_MALLOC:
    case PROGRAM_CALLOC: make(s, a->local, locals, slot, size); return true;
    case PROGRAM_FREE: end(s, a->local, locals, slot, size); return true;
    case PROGRAM_REALLOC:
        end(s, a->local, locals, slot, size);
        make(s, a->local, locals, slot, take_word(s, a));
        return true;
    case PROGRAM_SHARED_MALLOC:
    case PROGRAM_SHARED_CALLOC: make(s, s->shared, shareds, slot, size); return true;
    case PROGRAM_SHARED_FREE:
        if (must_wait(s, slot))
            break;
        end(s, s->shared, shareds, slot, size);
        return true;
    case PROGRAM_SHARED_REALLOC: {
        uint64_t new_size = take_word(s, a), place = take_word(s, a);
        if ((place & PROGRAM_OLD_SHARED) && must_wait(s, slot))
            break;
        if (place & PROGRAM_OLD_SHARED)
            end(s, s->shared, shareds, slot, size);
        else
            end(s, a->local, locals, slot, size);
        if (place & PROGRAM_NEW_SHARED)
            make(s, s->shared, shareds, (uint32_t)(place >> 32), new_size);
        else
            make(s, a->local, locals, (uint32_t)(place >> 32), new_size);
        return true;
    }
    case PROGRAM_SIGNAL:
        a->calls--;
        make(s, s->shared, shareds, slot, 0);
        return true;
    case PROGRAM_AWAIT:
        a->calls--;
        if (must_wait(s, slot)) {
            a->calls++;
            break;
        }
        end(s, s->shared, shareds, slot, 0);
        return true;
    case PROGRAM_END:
        a->calls--;
        a->done = true;
        return true;
    default: require(s, false, "a word is unknown");
    }
    a->calls--;
    a->next = before;
    return false;
}

/* Lets each thread run as far as it can, in turns, until all are done or none can go on. */
static void run_all(struct stage *s)
{
    bool progress = true;
    while (progress && s->fault == NULL) {
        progress = false;
        for (uint32_t i = 0; i < s->header->threads && s->fault == NULL; i++)
            while (!s->actors[i].done && s->fault == NULL && step(s, &s->actors[i]))
                progress = true;
    }
    for (uint32_t i = 0; i < s->header->threads; i++)
        require(s, s->actors[i].done, "the replay cannot go on: a deadlock");
}

static void begin(struct stage *s)
{
    const struct program_thread *threads = program_threads(s->header);
    s->words_end = program_words(s->header) + s->header->words;
    s->shared = new_slots(s->header->shared_slots);
    s->actors = calloc(s->header->threads, sizeof *s->actors);
    for (uint32_t i = 0; i < s->header->threads; i++)
        s->actors[i] = (struct actor){.next = program_words(s->header) + threads[i].first_word,
                                      .local = new_slots(threads[i].local_slots),
                                      .local_slots = threads[i].local_slots};
}

static void free_leftovers(struct stage *s)
{
    const struct program_thread *threads = program_threads(s->header);
    for (uint32_t i = 0; i < s->header->threads && s->fault == NULL; i++) {
        s->actors[i].next = program_words(s->header) + threads[i].first_leftover;
        s->actors[i].done = false;
    }
    if (s->fault == NULL)
        run_all(s);
}

static void check_end(struct stage *s)
{
    const struct program_thread *threads = program_threads(s->header);
    for (uint32_t i = 0; i < s->header->shared_slots; i++)
        require(s, s->shared[i] == VACANT, "a shared object is left over");
    for (uint32_t i = 0; i < s->header->threads; i++) {
        require(s, s->actors[i].calls == threads[i].calls, "the count of calls is wrong");
        for (uint32_t slot = 0; slot < s->actors[i].local_slots; slot++)
            require(s, s->actors[i].local[slot] == VACANT, "a local object is left over");
    }
}

const char *simulate(const struct trace_input *input)
{
    struct stage stage = {.header = mmap(NULL, input->bytes, PROT_READ, MAP_SHARED, input->fd, 0)};
    begin(&stage);
    run_all(&stage);
    free_leftovers(&stage);
    if (stage.fault == NULL)
        check_end(&stage);
    for (uint32_t i = 0; i < stage.header->threads; i++)
        free(stage.actors[i].local);
    free(stage.actors);
    free(stage.shared);
    munmap((void *)stage.header, input->bytes);
    return stage.fault;
}
