/*
 * The least allocator that a trial can run on: a bump pointer in static memory that never frees.
 * Each faulty allocator includes it and defines fault(): what it does at each allocation, with the
 * block that a healthy one would have returned.
 */
#ifndef HEAPMARK_TESTS_FAULTY_BASE_H
#define HEAPMARK_TESTS_FAULTY_BASE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { POOL_BYTES = 64 << 20, HEADER_BYTES = 16, HEALTHY_CALLS = 5000 };

static _Alignas(16) char pool[POOL_BYTES];
static _Atomic size_t used;
static _Atomic size_t calls;

static void *fault(void *block, size_t size);

static void *bump(size_t size)
{
    size_t step = (size + HEADER_BYTES + 15) & ~(size_t)15;
    size_t at = atomic_fetch_add(&used, step);
    if (size > POOL_BYTES || at + step > POOL_BYTES)
        return NULL;
    memcpy(pool + at, &size, sizeof size);
    return pool + at + HEADER_BYTES;
}

void *malloc(size_t size)
{
    void *block = bump(size);
    /* Healthy while the process starts and sets up. */
    return atomic_fetch_add(&calls, 1) < HEALTHY_CALLS ? block : fault(block, size);
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t size)
{
    return bump(count * size); /* static memory is zero */
}

void *realloc(void *block, size_t size)
{
    size_t old = 0;
    if (block != NULL)
        memcpy(&old, (char *)block - HEADER_BYTES, sizeof old);
    void *moved = bump(size);
    if (moved != NULL && block != NULL)
        memcpy(moved, block, old < size ? old : size);
    return moved;
}

#endif
