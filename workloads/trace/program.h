/*
 * The replay program: a trace decoded for the replayer, one stream of 8-byte words per thread.
 *
 * trace_load() writes it into a sealed memory file in the parent; workloads/replay.c maps and runs
 * it in the trial. It is made and used within one run and never stored.
 *
 *   struct program_header
 *   struct program_thread [threads]
 *   words of thread 0 | words of thread 1 | ...
 *
 * Objects that one thread allocates, reallocates and frees itself are local: they live in a table
 * of that thread, whose slots are used again. Objects that another thread ends are shared: each
 * has its own slot in one table, which its maker publishes and its taker waits for. Threads that
 * start and end one another do so through slots of the same table.
 *
 * Within a thread words stand in recorded order, and a taker waits only for something that was
 * recorded earlier. Of all words not yet run, the one recorded first never waits for another one,
 * so that a replay always goes on: it cannot deadlock.
 */
#ifndef HEAPMARK_TRACE_PROGRAM_H
#define HEAPMARK_TRACE_PROGRAM_H

#include <stdint.h>

enum { PROGRAM_MAGIC = 0x676d7032, PROGRAM_VERSION = 1 };

/*
 * A word: op in bits 0-3, size in bits 4-31, slot in bits 32-63. Sizes from PROGRAM_SIZE_MAX on
 * stand in a word of their own before it. The size of a free is the object's.
 */
enum program_op {
    PROGRAM_END, /* the thread has no more events in this pass */
    PROGRAM_MALLOC,
    PROGRAM_FREE,
    PROGRAM_CALLOC,
    PROGRAM_ALIGNED, /* the next word is the alignment */
    PROGRAM_REALLOC, /* size and slot of the old object; the next word is the new size */
    PROGRAM_WIDE,    /* the other 60 bits are the size for the word that follows */
    PROGRAM_SHARED_MALLOC,
    PROGRAM_SHARED_FREE,
    PROGRAM_SHARED_CALLOC,
    PROGRAM_SHARED_ALIGNED,
    /*
     * A realloc in which the old or the new object is shared: its next words are the new size,
     * then PROGRAM_OLD_SHARED | PROGRAM_NEW_SHARED flags with the new object's slot above bit 32.
     */
    PROGRAM_SHARED_REALLOC,
    PROGRAM_SIGNAL, /* publish the slot: a thread may start, or has ended */
    PROGRAM_AWAIT,  /* wait for it */
};

#define PROGRAM_SIZE_BITS  28
#define PROGRAM_SIZE_MAX   ((1u << PROGRAM_SIZE_BITS) - 1) /* this value itself: see PROGRAM_WIDE */
#define PROGRAM_OLD_SHARED 1u
#define PROGRAM_NEW_SHARED 2u

struct program_thread {
    uint64_t first_word;     /* index of its first word */
    uint64_t first_leftover; /* its frees of what the recording never freed, after PROGRAM_END */
    uint64_t calls;          /* allocator calls of a pass, those frees included */
    uint32_t local_slots;    /* size of its own table */
    uint32_t padding;
};

struct program_header {
    uint32_t magic, version;
    uint32_t threads;
    uint32_t shared_slots;
    uint64_t bytes; /* of the whole program */
    uint64_t words;
    uint64_t live_bytes_peak;
    uint64_t events;
};

static inline uint64_t program_word(enum program_op op, uint64_t size, uint64_t slot)
{
    return (uint64_t)op | size << 4 | slot << 32;
}

static inline const struct program_thread *program_threads(const struct program_header *header)
{
    return (const struct program_thread *)(header + 1);
}

static inline const uint64_t *program_words(const struct program_header *header)
{
    return (const uint64_t *)(program_threads(header) + header->threads);
}

#endif
