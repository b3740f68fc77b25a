/*
 * The replay program: a trace decoded for the replayer, one stream of 8-byte words for each player.
 *
 * trace_load() writes it in the parent; workloads/replay runs it in the trial. It is made and used
 * within one run and never stored.
 *
 *   struct program_header
 *   struct program_player [players]
 *   struct program_mark [marks]       those of player 0, those of player 1, ...
 *   (padding to a page)
 *   chunk 0 | chunk 1 | ...           of PROGRAM_CHUNK_WORDS words each
 *
 * A player's words fill chunks that stand anywhere: the last word of a full chunk says which one is
 * next. Chunks therefore lie in recorded time, and several players read one file in one direction.
 * A word and its operands are never parted. After its PROGRAM_END come the frees of what the
 * recording left, and another PROGRAM_END.
 *
 * A player plays one recorded thread, or several of which each began after the one before had ended.
 *
 * Objects that one player makes, reallocates and frees itself are local: they live in a table of
 * that player, whose slots are used again. Objects that another player ends are shared: their maker
 * puts them into a slot of one common table and their taker takes them out. A shared slot serves
 * one maker and one taker, and always in the order in which both meet it; so an empty one is all
 * that a maker waits for, and a full one all that a taker waits for. Threads that start and end one
 * another do so through slots of the same table.
 *
 * Within a player words stand in recorded order, and it waits only for something that was recorded
 * earlier. Of all words not yet run, the one recorded first never waits for another one, so that a
 * replay always goes on: it cannot deadlock.
 */
#ifndef HEAPMARK_TRACE_PROGRAM_H
#define HEAPMARK_TRACE_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_MAGIC = 0x676d7032, PROGRAM_VERSION = 3, PROGRAM_CHUNK_WORDS = 4096 };

#define PROGRAM_CHUNK_BYTES (PROGRAM_CHUNK_WORDS * sizeof(uint64_t))

/*
 * A word: op in bits 0-7, size in bits 8-31, slot in bits 32-63. All three begin and end with a byte,
 * so that one instruction reads each from where it stands. Sizes above PROGRAM_SIZE_MAX stand before
 * the word, see PROGRAM_WIDE. The size of a free is the object's.
 *
 * Local mallocs and frees are nearly all there is in most traces. Those of sizes that a stamp has
 * no fast path for (stamp_is_odd() in workload.h) have words of their own, so that the loop that is
 * timed does not ask.
 */
enum program_op {
    PROGRAM_END, /* nothing more in this pass; the second time: nothing more at all */
    PROGRAM_MALLOC,
    PROGRAM_FREE,
    PROGRAM_ODD_MALLOC, /* the same two of an odd size */
    PROGRAM_ODD_FREE,
    PROGRAM_CALLOC,
    PROGRAM_ALIGNED, /* the next word is the alignment */
    PROGRAM_REALLOC, /* size and slot of the old object; the next word is the new size */
    PROGRAM_WIDE,    /* the next word is the size for the one behind it */
    PROGRAM_SHARED_MALLOC,
    PROGRAM_SHARED_FREE,
    PROGRAM_SHARED_CALLOC,
    PROGRAM_SHARED_ALIGNED,
    /*
     * A realloc in which the old or the new object is shared: its next words are the new size,
     * then PROGRAM_OLD_SHARED | PROGRAM_NEW_SHARED flags with the new object's slot above bit 32.
     */
    PROGRAM_SHARED_REALLOC,
    PROGRAM_SIGNAL,  /* fill the slot: a thread may start, or has ended */
    PROGRAM_AWAIT,   /* wait for it; the size is an enum program_wait */
    PROGRAM_CONTROL, /* the size is an enum program_control */
    PROGRAM_PACE,    /* the other 56 bits: when the next event was, in ns from the pass's start */
};

enum program_wait { PROGRAM_WAIT_START, PROGRAM_WAIT_END };

enum program_control {
    PROGRAM_NEXT, /* the words go on in the chunk whose number stands where slots do */
    PROGRAM_MARK, /* note the time: see struct program_mark */
};

#define PROGRAM_SIZE_MAX   ((1u << 24) - 1)
#define PROGRAM_OLD_SHARED 1u
#define PROGRAM_NEW_SHARED 2u
#define PROGRAM_PACE_MAX   ((UINT64_C(1) << 56) - 1)

/* A place in a player's words, from which it is known afterwards how far everybody was when. */
struct program_mark {
    uint64_t events;    /* of all players, recorded up to here: different for every mark */
    int64_t live_bytes; /* that this player's events up to here have added */
};

struct program_player {
    uint64_t first_chunk;
    uint64_t calls; /* allocator calls of a pass, those that free what was left included */
    uint32_t local_slots;
    uint32_t marks;
};

struct program_header {
    uint32_t magic, version;
    uint32_t players;
    uint32_t shared_slots;
    uint64_t head_bytes; /* up to the first chunk: whole pages */
    uint64_t chunks;
    uint64_t live_bytes_peak;
    uint64_t events;
    uint32_t marks;
    uint32_t is_streamed; /* only the head is mapped: players read their chunks one by one */
    uint32_t is_paced;    /* there are PROGRAM_PACE words */
    uint32_t flags;       /* of the trace: enum trace_flag */
    uint32_t sample;      /* of the trace: one object in so many was recorded; 0 and 1: all */
    uint32_t lacks;       /* of the trace: enum trace_lack */
    uint32_t is_cut;      /* it is a part of another trace */
    uint32_t threads;     /* of the trace */
    uint32_t padding;
};

static inline uint64_t program_word(enum program_op op, uint64_t size, uint64_t slot)
{
    return (uint64_t)op | size << 8 | slot << 32;
}

static inline enum program_op program_op(uint64_t word)
{
    return (enum program_op)(word & 0xff);
}

static inline uint32_t program_size(uint64_t word)
{
    return (uint32_t)word >> 8;
}

static inline uint32_t program_slot(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* What a word holds besides its op where it has no slot. */
static inline uint64_t program_rest(uint64_t word)
{
    return word >> 8;
}

static inline const struct program_player *program_players(const struct program_header *header)
{
    return (const struct program_player *)(header + 1);
}

static inline const struct program_mark *program_marks(const struct program_header *header)
{
    return (const struct program_mark *)(program_players(header) + header->players);
}

/* Of a program that is mapped whole. */
static inline const uint64_t *program_chunk(const struct program_header *header, uint64_t chunk)
{
    return (const uint64_t *)((const char *)header + header->head_bytes) +
           chunk * PROGRAM_CHUNK_WORDS;
}

#endif
