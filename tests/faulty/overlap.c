/* Hands out the same block again and again: the trial ends as `corrupt`. */
#include "base.h"

static void *fault(void *block, size_t size)
{
    static void *favourite;
    if (size != 64) /* the size that the tests ask for */
        return block;
    if (favourite == NULL)
        favourite = block;
    return favourite;
}
