#include "simulate.h"

#include "workloads/trace/program.h"

#include "include/workload.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define VACANT UINT64_MAX /* otherwise the size of the object in the slot */
#define NOBODY UINT32_MAX

struct actor {
    const uint64_t *next;
    uint64_t *local;
    uint32_t local_slots, marks;
    uint64_t calls, time_ns;
    bool done;
};

struct shared {
    uint64_t size;
    uint32_t maker, taker; /* the only ones it ever has */
};

struct stage {
    const struct program_header *header;
    const uint64_t *words_end;
    struct shared *shared;
    struct actor *actors;
    const char *fault;
};

/* A word with its size, and what stands behind it. */
struct word {
    enum program_op op;
    uint32_t slot;
    uint64_t size, operands[2];
};

static void require(struct stage *s, bool condition, const char *fault)
{
    if (!condition && s->fault == NULL)
        s->fault = fault;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void make_local(struct stage *s, struct actor *a, uint32_t slot, uint64_t size)
{
    require(s, slot < a->local_slots, "a slot is out of range");
    if (s->fault != NULL)
        return;
    require(s, a->local[slot] == VACANT, "a slot is taken twice");
    a->local[slot] = size;
}

static void end_local(struct stage *s, struct actor *a, uint32_t slot, uint64_t size)
{
    require(s, slot < a->local_slots, "a slot is out of range");
    if (s->fault != NULL)
        return;
    require(s, a->local[slot] == size, "an object ends that is not there, or with another size");
    a->local[slot] = VACANT;
}

static void own(struct stage *s, uint32_t *owner, uint32_t actor)
{
    require(s, *owner == NOBODY || *owner == actor, "a shared slot has two makers or two takers");
    *owner = actor;
}

/* False when the maker must wait. */
static bool put_shared(struct stage *s, uint32_t actor, uint32_t slot, uint64_t size)
{
    require(s, slot < s->header->shared_slots, "a slot is out of range");
    if (s->fault != NULL)
        return true;
    struct shared *shared = &s->shared[slot];
    own(s, &shared->maker, actor);
    if (shared->size != VACANT)
        return false;
    shared->size = size;
    return true;
}

/* False when the taker must wait. */
static bool take_shared(struct stage *s, uint32_t actor, uint32_t slot, uint64_t size)
{
    require(s, slot < s->header->shared_slots, "a slot is out of range");
    if (s->fault != NULL)
        return true;
    struct shared *shared = &s->shared[slot];
    own(s, &shared->taker, actor);
    if (shared->size == VACANT)
        return false;
    require(s, shared->size == size, "an object ends that is not there, or with another size");
    shared->size = VACANT;
    return true;
}

/* ---- words ----------------------------------------------------------------------------------- */

static uint64_t take_word(struct stage *s, struct actor *a)
{
    require(s, a->next < s->words_end, "the words run over");
    return s->fault == NULL ? *a->next++ : 0;
}

static unsigned operands_of(enum program_op op)
{
    switch (op) {
    case PROGRAM_ALIGNED:
    case PROGRAM_SHARED_ALIGNED:
    case PROGRAM_REALLOC: return 1;
    case PROGRAM_SHARED_REALLOC: return 2;
    default: return 0;
    }
}

static struct word read_word(struct stage *s, struct actor *a)
{
    uint64_t code = take_word(s, a), size = program_size(code);
    if (program_op(code) == PROGRAM_PACE)
        return (struct word){.op = PROGRAM_PACE, .size = program_rest(code)};
    if (program_op(code) == PROGRAM_WIDE) {
        size = take_word(s, a);
        code = take_word(s, a);
        require(s, size > PROGRAM_SIZE_MAX, "a small size stands in a wide word");
    }
    struct word word = {.op = program_op(code), .slot = program_slot(code), .size = size};
    for (unsigned i = 0; i < operands_of(word.op); i++)
        word.operands[i] = take_word(s, a);
    return word;
}

static void control(struct stage *s, struct actor *a, const struct word *word)
{
    if (word->size == PROGRAM_MARK) {
        a->marks++;
        return;
    }
    require(s, word->size == PROGRAM_NEXT, "a control word is unknown");
    require(s, word->slot < s->header->chunks, "a chunk is out of range");
    if (s->fault == NULL)
        a->next = program_chunk(s->header, word->slot);
}

static bool resize_shared(struct stage *s, struct actor *a, uint32_t self, const struct word *word)
{
    uint32_t new_slot = (uint32_t)(word->operands[1] >> 32);
    bool new_shared = (word->operands[1] & PROGRAM_NEW_SHARED) != 0;
    if (new_shared && new_slot < s->header->shared_slots && s->shared[new_slot].size != VACANT)
        return false;
    if (!(word->operands[1] & PROGRAM_OLD_SHARED))
        end_local(s, a, word->slot, word->size);
    else if (!take_shared(s, self, word->slot, word->size))
        return false;
    if (new_shared)
        return put_shared(s, self, new_slot, word->operands[0]);
    make_local(s, a, new_slot, word->operands[0]);
    return true;
}

static void pace(struct stage *s, struct actor *a, uint64_t ns)
{
    require(s, s->header->is_paced, "a program that is not paced has times");
    require(s, ns >= a->time_ns, "time runs backwards");
    a->time_ns = ns;
}

/* The player asks nothing of a size in words that are not odd. */
static void require_kind(struct stage *s, const struct word *word, enum program_op plain)
{
    require(s, (word->op == plain) != stamp_is_odd(word->size),
            "a word is odd and its size is not");
}

/* False when it must wait. */
static bool run_word(struct stage *s, struct actor *a, const struct word *word)
{
    uint32_t self = (uint32_t)(a - s->actors);
    uint64_t alignment = word->operands[0];
    switch (word->op) {
    case PROGRAM_ALIGNED:
    case PROGRAM_SHARED_ALIGNED:
        require(s, alignment >= 8 && (alignment & (alignment - 1)) == 0,
                "an alignment is no power of two");
        if (word->op == PROGRAM_SHARED_ALIGNED)
            return put_shared(s, self, word->slot, word->size);
        return make_local(s, a, word->slot, word->size), true;
    case PROGRAM_MALLOC:
    case PROGRAM_ODD_MALLOC:
        require_kind(s, word, PROGRAM_MALLOC);
        return make_local(s, a, word->slot, word->size), true;
    case PROGRAM_CALLOC: return make_local(s, a, word->slot, word->size), true;
    case PROGRAM_FREE:
    case PROGRAM_ODD_FREE:
        require_kind(s, word, PROGRAM_FREE);
        return end_local(s, a, word->slot, word->size), true;
    case PROGRAM_REALLOC:
        end_local(s, a, word->slot, word->size);
        return make_local(s, a, word->slot, word->operands[0]), true;
    case PROGRAM_SHARED_MALLOC:
    case PROGRAM_SHARED_CALLOC: return put_shared(s, self, word->slot, word->size);
    case PROGRAM_SHARED_FREE: return take_shared(s, self, word->slot, word->size);
    case PROGRAM_SHARED_REALLOC: return resize_shared(s, a, self, word);
    case PROGRAM_SIGNAL: return put_shared(s, self, word->slot, 0);
    case PROGRAM_AWAIT: return take_shared(s, self, word->slot, 0);
    case PROGRAM_CONTROL: return control(s, a, word), true;
    case PROGRAM_PACE: return pace(s, a, word->size), true;
    case PROGRAM_END: return a->done = true;
    default: return require(s, false, "a word is unknown"), true;
    }
}

static bool is_call(enum program_op op)
{
    return op != PROGRAM_SIGNAL && op != PROGRAM_AWAIT && op != PROGRAM_CONTROL &&
           op != PROGRAM_PACE && op != PROGRAM_END;
}

static bool step(struct stage *s, struct actor *a)
{
    const uint64_t *before = a->next;
    struct word word = read_word(s, a);
    bool went_on = run_word(s, a, &word);
    if (went_on)
        a->calls += is_call(word.op);
    else
        a->next = before;
    return went_on;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Lets each player run as far as it can, in turns, until all are done or none can go on. */
static void run_all(struct stage *s)
{
    bool progress = true;
    while (progress && s->fault == NULL) {
        progress = false;
        for (uint32_t i = 0; i < s->header->players && s->fault == NULL; i++)
            while (!s->actors[i].done && s->fault == NULL && step(s, &s->actors[i]))
                progress = true;
    }
    for (uint32_t i = 0; i < s->header->players; i++) {
        require(s, s->actors[i].done, "the replay cannot go on: a deadlock");
        s->actors[i].done = false;
    }
}

static void begin(struct stage *s)
{
    const struct program_player *players = program_players(s->header);
    s->words_end = program_chunk(s->header, s->header->chunks);
    s->shared = malloc((s->header->shared_slots + 1) * sizeof *s->shared);
    for (uint32_t i = 0; i < s->header->shared_slots; i++)
        s->shared[i] = (struct shared){VACANT, NOBODY, NOBODY};
    s->actors = calloc(s->header->players, sizeof *s->actors);
    for (uint32_t i = 0; i < s->header->players; i++) {
        struct actor *a = &s->actors[i];
        a->next = program_chunk(s->header, players[i].first_chunk);
        a->local_slots = players[i].local_slots;
        a->local = malloc((a->local_slots + 1) * sizeof *a->local);
        for (uint32_t slot = 0; slot < a->local_slots; slot++)
            a->local[slot] = VACANT;
    }
}

static void check_end(struct stage *s)
{
    const struct program_player *players = program_players(s->header);
    for (uint32_t i = 0; i < s->header->shared_slots; i++)
        require(s, s->shared[i].size == VACANT, "a shared object is left over");
    for (uint32_t i = 0; i < s->header->players; i++) {
        const struct actor *a = &s->actors[i];
        require(s, a->calls == players[i].calls, "the count of calls is wrong");
        require(s, a->marks == players[i].marks, "the count of marks is wrong");
        for (uint32_t slot = 0; slot < a->local_slots; slot++)
            require(s, a->local[slot] == VACANT, "a local object is left over");
    }
}

static void release(struct stage *s)
{
    for (uint32_t i = 0; i < s->header->players; i++)
        free(s->actors[i].local);
    free(s->actors);
    free(s->shared);
}

const char *simulate(const struct trace_input *input)
{
    struct stat file;
    if (fstat(input->fd, &file) != 0)
        return "the program has no size";
    size_t bytes = (size_t)file.st_size;
    struct stage stage = {.header = mmap(NULL, bytes, PROT_READ, MAP_SHARED, input->fd, 0)};
    if (stage.header == MAP_FAILED)
        return "the program cannot be mapped";
    begin(&stage);
    run_all(&stage); /* the trace, */
    if (stage.fault == NULL)
        run_all(&stage); /* and what it left */
    if (stage.fault == NULL)
        check_end(&stage);
    release(&stage);
    munmap((void *)stage.header, bytes);
    return stage.fault;
}
