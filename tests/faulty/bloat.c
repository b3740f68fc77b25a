/* Takes a MiB for every call and touches it: the memory limit ends the trial as `oom`. */
#include "base.h"

#include <sys/mman.h>

static void *fault(void *block, size_t size)
{
    enum { MIB = 1 << 20 };
    char *more = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)size;
    if (more != MAP_FAILED)
        memset(more, 1, MIB);
    return block;
}
