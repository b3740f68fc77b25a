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
