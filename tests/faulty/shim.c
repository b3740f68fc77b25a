/*
 * The C library's allocator behind one more call: two builds that differ by a known number of
 * instructions. SHIM_EXTRA of them are spent at every eighth allocation.
 */
#include <errno.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void spend(void)
{
    static unsigned turn;
    if (++turn % 8 == 0)
        __asm__ volatile(".rept %c0\n\tnop\n\t.endr" ::"i"(SHIM_EXTRA));
}

void *malloc(size_t size)
{
    spend();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    spend();
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    spend();
    return __libc_realloc(block, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = __libc_memalign(alignment, size);
    return *block != NULL ? 0 : ENOMEM;
}

void free(void *block)
{
    __libc_free(block);
}
