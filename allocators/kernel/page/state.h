/*
 * The state bytes of a block: written as one word where the order allows, since order 3 is what
 * slabs mostly have. Writers hold the zone's or the CPU list's lock, or own the block; readers may
 * hold nothing, hence the atomics.
 */
#ifndef KMEM_STATE_H
#define KMEM_STATE_H

#include "page.h"

#define EVERY_BYTE 0x0101010101010101u

static inline void state_set(size_t frame, unsigned state)
{
    __atomic_store_n(&page_globals.state[frame], (uint8_t)state, __ATOMIC_RELAXED);
}

/* Sets all bytes of a block. */
static inline void state_fill(size_t frame, unsigned order, unsigned state)
{
    uint8_t *s = page_globals.state + frame;
    uint64_t word = EVERY_BYTE * state;

    switch (order) {
    case 0: __atomic_store_n(s, (uint8_t)word, __ATOMIC_RELAXED); return;
    case 1: __atomic_store_n((uint16_t *)s, (uint16_t)word, __ATOMIC_RELAXED); return;
    case 2: __atomic_store_n((uint32_t *)s, (uint32_t)word, __ATOMIC_RELAXED); return;
    default:
        for (size_t i = 0; i < (size_t)1 << order; i += 8)
            __atomic_store_n((uint64_t *)(s + i), word, __ATOMIC_RELAXED);
    }
}

/* Sets all bytes of a block, and leaves of each whether its frame is absent. */
static inline void state_fill_keeping(size_t frame, unsigned order, unsigned state)
{
    uint8_t *s = page_globals.state + frame;
    uint64_t word = EVERY_BYTE * state, kept = EVERY_BYTE * PAGE_IS_ABSENT;

    if (order < 3) {
        for (size_t i = 0; i < (size_t)1 << order; i++)
            state_set(frame + i, state | (s[i] & PAGE_IS_ABSENT));
        return;
    }
    for (size_t i = 0; i < (size_t)1 << order; i += 8)
        __atomic_store_n((uint64_t *)(s + i), word | (*(uint64_t *)(s + i) & kept),
                         __ATOMIC_RELAXED);
}

/* The largest block that may start at `frame` and ends at `end` or before. */
static inline unsigned state_order_between(size_t frame, size_t end)
{
    unsigned aligned = frame ? (unsigned)__builtin_ctzl(frame) : MAX_PAGE_ORDER;
    unsigned fits = 63 - (unsigned)__builtin_clzl(end - frame);

    return aligned < fits          ? aligned < MAX_PAGE_ORDER ? aligned : MAX_PAGE_ORDER
           : fits < MAX_PAGE_ORDER ? fits
                                   : MAX_PAGE_ORDER;
}

/* Absent frames of a block. */
static inline unsigned state_absent(size_t frame, unsigned order)
{
    const uint8_t *s = page_globals.state + frame;
    uint64_t mask = EVERY_BYTE * PAGE_IS_ABSENT;
    unsigned n = 0;

    switch (order) {
    case 0: return (*s & PAGE_IS_ABSENT) != 0;
    case 1: return (unsigned)__builtin_popcountl(*(const uint16_t *)s & (uint16_t)mask);
    case 2: return (unsigned)__builtin_popcountl(*(const uint32_t *)s & (uint32_t)mask);
    default:
        for (size_t i = 0; i < (size_t)1 << order; i += 8)
            n += (unsigned)__builtin_popcountl(*(const uint64_t *)(s + i) & mask);
        return n;
    }
}

#endif
