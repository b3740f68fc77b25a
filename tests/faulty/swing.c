/* Touches 256 KiB at every call and gives it back at once: most is resident for a moment only.
 * DIES_WATCHED: crashes in a process whose peak is read exactly. */
#include "base.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static void *fault(void *block, size_t size)
{
    enum { SWING_BYTES = 256 << 10 };
    char *more =
        mmap(NULL, SWING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)size;
    if (more != MAP_FAILED) {
        memset(more, 1, SWING_BYTES);
        munmap(more, SWING_BYTES);
    }
#ifdef DIES_WATCHED
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        abort();
#endif
    return block;
}
