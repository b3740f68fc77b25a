/* Never returns: the trial ends as `timeout`. */
#include "base.h"

#include <unistd.h>

static void *fault(void *block, size_t size)
{
    (void)size;
    while (pause() != 0) /* never 0 */
        ;
    return block;
}
