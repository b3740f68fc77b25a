/*
 * glibc's allocator behind a shim that makes each malloc and free wait for SPIN multiplications: slower
 * by a known amount, for tests of the gate. Built with SPIN 0 and with more from this one source, so
 * that nothing else differs.
 *
 * What malloc and free are given goes through a chain of multiplications by 1, some 3 cycles each. They
 * cannot begin before the chain has ended. Instructions that nothing waits for would cost a wide CPU
 * next to nothing, and so do additions of constants, which some CPUs do while they rename registers.
 */
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static inline uintptr_t delayed(uintptr_t value)
{
#pragma GCC unroll 64
    for (int i = 0; i < SPIN; i++)
        __asm__ volatile("imul $1, %0, %0" : "+r"(value));
    return value;
}

void *malloc(size_t size)
{
    return __libc_malloc(delayed(size));
}

void free(void *block)
{
    __libc_free((void *)delayed((uintptr_t)block));
}

void *calloc(size_t count, size_t size)
{
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return __libc_memalign(alignment, size);
}
