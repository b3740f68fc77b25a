/* Follows a wild pointer: the trial ends as `crashed`. */
#include "base.h"

static void *volatile wild = (void *)8;

static void *fault(void *block, size_t size)
{
    memcpy(wild, &size, sizeof size);
    return block;
}
