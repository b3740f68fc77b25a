#include "os.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

size_t ptm_page = 4096;

static void *os_map_with(size_t bytes, int prot, int flags)
{
    int saved = errno;
    void *p = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

static void *os_grow(intptr_t bytes)
{
    int saved = errno;
    void *p = sbrk(bytes);

    errno = saved;
    return p == (void *)-1 ? NULL : p;
}

static void *os_reserve(size_t bytes)
{
    return os_map_with(bytes, PROT_NONE, MAP_NORESERVE);
}

static bool os_commit(void *start, size_t bytes)
{
    int saved = errno;
    bool done = mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0;

    errno = saved;
    return done;
}

static void *os_map(size_t bytes)
{
    return os_map_with(bytes, PROT_READ | PROT_WRITE, 0);
}

static bool os_unmap(void *start, size_t bytes)
{
    int saved = errno;
    bool done = munmap(start, bytes) == 0;

    errno = saved;
    return done;
}

static void *os_remap(void *start, size_t old_bytes, size_t new_bytes)
{
    int saved = errno;
    void *p = mremap(start, old_bytes, new_bytes, MREMAP_MAYMOVE);

    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

static bool os_purge(void *start, size_t bytes)
{
    int saved = errno;
    bool done = madvise(start, bytes, MADV_DONTNEED) == 0;

    errno = saved;
    return done;
}

struct ptm_os ptm_os = {
    .grow = os_grow,
    .reserve = os_reserve,
    .commit = os_commit,
    .map = os_map,
    .unmap = os_unmap,
    .remap = os_remap,
    .purge = os_purge,
};
