/* Has no more memory: the trial ends as `oom`. */
#include "base.h"

static void *fault(void *block, size_t size)
{
    (void)block;
    (void)size;
    return NULL;
}
