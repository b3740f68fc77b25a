/*
 * Every structure of the allocator, in prose first.
 *
 * CHUNK. All memory is cut into chunks, multiples of 16 bytes, that lie without gaps from the
 * start of a heap to its end. A chunk knows its own size; a free chunk also leaves its size in the
 * word behind it (the boundary tag), so that both neighbours of a chunk being freed can be found
 * and merged.
 *
 *     chunk ->  +--------------------------------+
 *               | prev_size: size of the chunk   |  only valid while the chunk before is free;
 *               |            before              |  else it is the last word of that chunk's data
 *               +--------------------------------+
 *               | size                     |A|M|P|
 *     memory -> +--------------------------------+  what malloc returns, 16-byte aligned
 *               | data         | fd              |
 *               |   (in use)   | bk              |  (free) links of the bin it lies in
 *               |              | fd_nextsize     |  (free and large) links to the next size
 *               |              | bk_nextsize     |
 *               |              | ...             |
 *     next  ->  +--------------------------------+
 *               | data, or size of this chunk    |  the next chunk's prev_size
 *               +--------------------------------+
 *               | size                     |A|M|P|
 *               +--------------------------------+
 *
 *     P  the chunk before is in use (so prev_size is its data, not a size)
 *     M  the chunk is a mapping of its own; P and A mean nothing, prev_size is the distance from
 *        the start of the mapping, mixed with the key of the process
 *     A  the chunk lies in a 64 MiB-aligned mapped heap, whose header names the arena; without A it
 *        lies in brk memory, which is the main arena's
 *
 * Whether a chunk is free is written in the *next* chunk's P. Chunks in the thread cache and in
 * fast bins keep that P set: to their neighbours they are in use. Two free chunks never touch.
 *
 * HEAP. A contiguous range of chunks with a header in front. Brk heaps belong to the main arena;
 * mapped heaps are reserved 64 MiB at a time, aligned to 64 MiB, and made readable as they fill:
 *
 *     base       first                      top            end        committed     base + 64 MiB
 *      | header  | chunk | chunk | ... | chunk | top chunk | released |    never readable    |
 *                                                 ^ clean: from here on never written, so zero
 *
 * A heap that is no longer its arena's newest ends in two 16-byte fence chunks, both "in use", so
 * that nothing merges across its end.
 *
 * ARENA. A lock, bins, and a list of heaps. The newest heap ends in the top chunk, which is in no
 * bin and from which everything comes at first. The main arena is static; every other one lives in
 * the first heap it maps. Arenas are never freed: one without threads is the first choice of the
 * next thread.
 *
 * BINS. Bin 1 is the unsorted bin, where freed and split chunks wait for one chance to be reused as
 * they are; 2..63 are small bins of one size each; 64..126 are large bins of a range of sizes,
 * sorted from large to small, in which the first chunk of each size is linked to the first of the
 * next size (the skip list). A bit map says which bins may hold something.
 *
 * FAST BIN. Per arena and size, a lock-free stack of *runs*. A run is a chain of chunks of one
 * size; whole runs move between fast bins and thread caches. Anybody pushes with one compare-and-
 * swap and without the arena's lock; only the lock's holder pops, so there is no ABA. Fast bin 0
 * takes chunks of any size that other threads freed and that no other fast bin takes. Chunks in
 * fast bins are not merged until the arena is consolidated.
 *
 * CELL. What a cached chunk's memory holds (thread cache and fast bin alike): the mangled link to
 * the next cell, the key by which a double free is recognised, and, in the first cell of a run,
 * the run after it together with the length of its own run.
 *
 *     memory -> | next cell, mangled | key | next run, mangled, and count << 48 |
 *
 * THREAD CACHE. Thread-local, one bin for each chunk size up to 1040 bytes. A bin holds the current
 * run, from which malloc and free work without atomics, and at most one full spare run. When the
 * current run is empty the spare takes its place, then a run comes from the arena; when it is full
 * it becomes the spare, and the old spare goes to the owner's fast bin. A bin's `room` counts down
 * to zero, so that zeroed thread-local storage reads as "empty and full": the first call in a
 * thread falls into the slow path by itself and no test for "initialised" stands in the fast one.
 *
 * LOCK ORDER. list lock (arena list) before arena locks; at most one arena lock is held at a time,
 * except in fork, which takes the list lock and then every arena in list order. No lock is held
 * while user-visible output is written, and none while a lock of the C library could be waited
 * for.
 *
 * WHO MAY TOUCH WHAT. A chunk in use belongs to its user except for its size word, which the
 * arena's lock holder may rewrite to change P (hence relaxed atomic accesses). Everything in an
 * arena needs its lock, except `fast`, `fast_any`, `parked` and `attached` (atomic). A thread
 * cache belongs to its thread alone.
 */
#ifndef PTM_TYPES_H
#define PTM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock.h"

#define PTM_ALIGN        16u
#define PTM_MIN_CHUNK    32u
#define PTM_CHUNK_HEADER 16u
#define PTM_WORD         8u

#define PTM_HEAP_BYTES ((size_t)64 << 20)
#define PTM_HEAP_MASK  (PTM_HEAP_BYTES - 1)

#define PTM_BINS        127u
#define PTM_UNSORTED    1u
#define PTM_SMALL_LIMIT 1024u

#define PTM_TCACHE_BINS        64u
#define PTM_TCACHE_MAX_CHUNK   1040u
#define PTM_TCACHE_MAX_REQUEST (PTM_TCACHE_MAX_CHUNK - PTM_WORD)
#define PTM_FAST_BINS          (PTM_TCACHE_MAX_CHUNK / PTM_ALIGN + 1)

#define PTM_LIKELY(x)   __builtin_expect(!!(x), 1)
#define PTM_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* For words that one thread changes while others look, and where any of the values seen will do. */
#define PTM_LOAD(word)         __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define PTM_STORE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)

enum chunk_flag {
    CHUNK_P = 1,
    CHUNK_M = 2,
    CHUNK_A = 4,
    CHUNK_FLAGS = 7,
};

struct chunk {
    size_t prev_size;
    size_t head; /* size and flags; use chunk_head() and its kin */
    struct chunk *fd;
    struct chunk *bk;
    struct chunk *fd_nextsize; /* NULL in all but the first chunk of its size */
    struct chunk *bk_nextsize;
};

struct cell {
    uintptr_t next;
    uintptr_t key;
    uintptr_t run;
};

struct heap {
    struct arena *arena;
    struct heap *older;
    char *first;     /* first chunk */
    char *end;       /* end of the last chunk */
    char *committed; /* end of readable memory; equals end in brk heaps */
    char *clean;     /* no byte from here to end was ever written (the top chunk's header aside) */
    uintptr_t seal;  /* address mixed with the process key: a forged header does not match */
    bool mapped;     /* 64 MiB mapping, else brk */
};

struct bin {
    struct chunk *fd;
    struct chunk *bk;
};

struct arena {
    struct lock lock;
    unsigned index;
    unsigned attached; /* threads that allocate here */
    struct arena *next;

    struct heap *heap; /* newest */
    struct chunk *top;
    struct chunk *last_remainder;
    size_t system_bytes; /* sum of heap sizes, header included; read without the lock, too */
    size_t system_bytes_max;
    size_t trim_slack; /* adapted threshold of this arena; see heap_grow() */
    bool trimmed;      /* memory was returned since the arena last grew */
    uint64_t binmap[2];
    struct bin bins[PTM_BINS + 1]; /* the last is never used: see skip_unlink() */

    /* Written by other threads: on cache lines of their own. */
    _Alignas(
        64) bool fast_any; /* false: all fast bins are empty, but for a run just being pushed */
    uintptr_t fast[PTM_FAST_BINS];
    intptr_t parked; /* bytes in fast bins above fastbin_max, and in fast bin 0 */
};

struct tcache_bin {
    struct cell *head;
    uint32_t room;
    uint32_t unused;
};

enum tcache_state {
    TCACHE_NEW = 0,
    TCACHE_STARTING, /* in the middle of registering its destructor, which may allocate */
    TCACHE_ON,
    TCACHE_OFF, /* by knob or mallopt */
    TCACHE_DEAD /* the thread's destructor has run */
};

struct tcache {
    struct arena *arena;
    enum tcache_state state;
    uint32_t epoch; /* of the knobs it was set up with */
    size_t unused[2];
    /* bins[i] serves chunks of 32 + 16 i bytes: a chunk size is its bin's offset in this struct. */
    struct tcache_bin bins[PTM_TCACHE_BINS];
    struct cell *spare[PTM_TCACHE_BINS];
    uint8_t capacity[PTM_TCACHE_BINS]; /* of a run, in chunks; grows as the bin proves busy */
};

_Static_assert(offsetof(struct tcache, bins) == PTM_MIN_CHUNK,
               "a chunk size must be its bin's offset");
_Static_assert(sizeof(struct tcache_bin) == PTM_ALIGN, "a chunk size must be its bin's offset");
_Static_assert(sizeof(struct heap) % PTM_ALIGN == 0, "the first chunk of a heap must be aligned");

#endif
