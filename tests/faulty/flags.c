/* Healthy, and with something to say: two words for the row, one of them twice. */
#include "base.h"

static void *fault(void *block, size_t size)
{
    (void)size;
    return block;
}

const char *heapmark_allocator_flags(void)
{
    return "percpu=thread  no-rseq percpu=thread";
}
