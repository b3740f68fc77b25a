/*
 * The operating system, behind pointers so that tests can put a layer of their own in between and
 * refuse memory. Every function keeps errno and returns NULL or false when the system refuses.
 */
#ifndef PTM_OS_H
#define PTM_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ptm_os {
    /* Moves the break up (or down) and returns its old value; grow(0) reads it. */
    void *(*grow)(intptr_t bytes);
    /* Reserves address space that is neither readable nor charged. */
    void *(*reserve)(size_t bytes);
    /* Makes reserved memory readable; it reads as zero if it was never written or was purged. */
    bool (*commit)(void *start, size_t bytes);
    /* Maps zeroed memory. */
    void *(*map)(size_t bytes);
    bool (*unmap)(void *start, size_t bytes);
    /* Resizes a mapping, moving it if needed. */
    void *(*remap)(void *start, size_t old_bytes, size_t new_bytes);
    /* Gives the pages back; they stay readable and read as zero afterwards. */
    bool (*purge)(void *start, size_t bytes);
};

extern struct ptm_os ptm_os;

/* Bytes of a page: read once, at start. */
extern size_t ptm_page;

static inline size_t page_up(size_t bytes)
{
    return (bytes + ptm_page - 1) & ~(ptm_page - 1);
}

static inline size_t page_down(size_t bytes)
{
    return bytes & ~(ptm_page - 1);
}

#endif
