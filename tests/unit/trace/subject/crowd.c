/*
 * An allocator whose blocks of one size have addresses that the recorder's table for samples hashes to a few buckets:
 * multiplied by the golden ratio, numbers that are a Fibonacci number apart come close together. Nobody may touch them.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { CROWDED = 777, COUNT = 400 };

#define APART ((size_t)14930352 * 16)

void *__libc_malloc(size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static char *area;
static size_t made, moved;

static int is_ours(const void *block)
{
    return area != NULL && (uintptr_t)block - (uintptr_t)area < COUNT * APART;
}

/* From the front, each second one. */
void *malloc(size_t size)
{
    if (size != CROWDED)
        return __libc_malloc(size);
    if (area == NULL)
        area = mmap(NULL, COUNT * APART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0);
    return area + 2 * made++ * APART;
}

/* To the others, from the back. */
void *realloc(void *block, size_t size)
{
    return is_ours(block) ? area + (COUNT - 1 - 2 * moved++) * APART : __libc_realloc(block, size);
}

void free(void *block)
{
    if (!is_ours(block))
        __libc_free(block);
}
