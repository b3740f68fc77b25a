/* Touches 256 KiB at every call and gives it back at once: most is resident for a moment only.
 * SWINGS_IN_THREADS: not in the main one. SWINGS_AT_PURGE: only when asked to give memory back.
 * DIES_WATCHED, SLEEPS_WATCHED: in a process whose peak is read exactly. */
#include "base.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static void swing(void)
{
    enum { SWING_BYTES = 256 << 10 };
    char *more =
        mmap(NULL, SWING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more != MAP_FAILED) {
        memset(more, 1, SWING_BYTES);
        munmap(more, SWING_BYTES);
    }
}

#ifdef SWINGS_AT_PURGE
int malloc_trim(size_t pad);

int malloc_trim(size_t pad)
{
    (void)pad;
    swing();
    return 1;
}
#endif

static void *fault(void *block, size_t size)
{
    (void)size;
#if defined SWINGS_IN_THREADS
    if (gettid() != getpid())
        swing();
#elif !defined SWINGS_AT_PURGE
    swing();
#endif
#if defined DIES_WATCHED
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        abort();
#elif defined SLEEPS_WATCHED
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        pause();
#endif
    return block;
}
