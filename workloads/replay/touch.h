/*
 * What is done to blocks besides allocating them, and what is checked by it.
 *
 *   pages  the first 8 bytes and the last one, of blocks of two pages and more also a byte of each
 *          page: the stamps of workload.h, which find overlapping and overwritten blocks
 *   first  the first 8 bytes, which hold the same stamp
 *   all    every byte is written once; then as `pages`
 *   none   nothing: the allocator alone, and no block is ever checked
 */
#ifndef HEAPMARK_REPLAY_TOUCH_H
#define HEAPMARK_REPLAY_TOUCH_H

#include "workloads/replay/player.h"

enum { FILLING = 0x5a };

/* Blocks under 8 bytes carry what fits. */
HM_INLINE size_t first_bytes(size_t size)
{
    return size < sizeof(uint64_t) ? size : sizeof(uint64_t);
}

HM_INLINE void write_first(void *block, size_t size, uint64_t value)
{
    if (HM_UNLIKELY(size < sizeof value))
        memcpy(block, &value, size);
    else
        memcpy(block, &value, sizeof value);
}

HM_INLINE void wipe_first(void *block, size_t size)
{
    const uint64_t wiped = 0;
    if (HM_UNLIKELY(size < sizeof wiped))
        memset(block, 0, size);
    else
        memcpy(block, &wiped, sizeof wiped);
}

HM_INLINE bool has_first(const void *block, size_t size, uint64_t value)
{
    if (HM_UNLIKELY(size < sizeof value))
        return memcmp(block, &value, size) == 0;
    return memcmp(block, &value, sizeof value) == 0;
}

HM_INLINE void touch_new(void *block, size_t size, enum touch touch)
{
    if (touch == TOUCH_FIRST) {
        write_first(block, size, stamp_value(block, size));
    } else if (touch == TOUCH_ALL) {
        memset(block, FILLING, size);
        stamp_write(block, size);
    } else if (touch == TOUCH_PAGES) {
        stamp_write(block, size);
    }
}

HM_INLINE void touch_check(struct worker *w, const void *block, size_t size, enum touch touch)
{
    if (touch == TOUCH_NONE)
        return;
    if (touch != TOUCH_FIRST)
        stamp_check(w, block, size);
    else if (HM_UNLIKELY(!has_first(block, size, stamp_value(block, size))))
        worker_corrupt(w, block, size);
}

/* stamp_is_whole() of a size that is not odd, with two jumps that are not taken. */
HM_INLINE bool has_stamp(const void *block, size_t size)
{
    uint64_t value = stamp_value(block, size), first;
    memcpy(&first, block, sizeof first);
    return !HM_UNLIKELY(first != value) &&
           !HM_UNLIKELY(((const unsigned char *)block)[size - 1] != stamp_last(value));
}

/*
 * A block from another thread, whose line that thread's CPU has: fetched once and for good, where
 * reading the stamp and then wiping it would fetch the line and then ask for it alone.
 */
HM_INLINE void *touch_fetch(void *block, enum touch touch)
{
    if (touch != TOUCH_NONE)
        fetch_for_writing(block);
    return block;
}

/*
 * The last look: the stamp is wiped, so that a block with two owners is found by the second. What is
 * odd is asked once for both.
 */
HM_INLINE void touch_last(struct worker *w, void *block, size_t size, enum touch touch)
{
    if (touch == TOUCH_NONE)
        return;
    if (touch != TOUCH_FIRST && !stamp_is_odd(size)) {
        const uint64_t wiped = 0;
        if (!has_stamp(block, size))
            worker_corrupt(w, block, size);
        memcpy(block, &wiped, sizeof wiped);
    } else {
        touch_check(w, block, size, touch);
        wipe_first(block, size);
    }
}

static inline bool is_zeroed(const void *block, size_t size, enum touch touch)
{
    const uint64_t zeroes = 0;
    size_t ends = first_bytes(size);
    if (touch == TOUCH_NONE || size == 0)
        return true;
    return memcmp(block, &zeroes, ends) == 0 &&
           (touch == TOUCH_FIRST || memcmp((const char *)block + size - ends, &zeroes, ends) == 0);
}

#endif
