/* Stamps of blocks that are tiny or large: see workload.h. */
#include "include/workload.h"

static void touch_pages(volatile char *block, size_t size)
{
    for (size_t offset = STAMP_PAGE_BYTES; offset < size; offset += STAMP_PAGE_BYTES)
        block[offset] = (char)offset;
}

void stamp_write_odd(void *block, size_t size)
{
    uint64_t value = stamp_value(block, size);
    if (size < sizeof value) {
        memcpy(block, &value, size);
        return;
    }
    touch_pages(block, size);
    memcpy(block, &value, sizeof value);
    ((unsigned char *)block)[size - 1] = stamp_last(value);
}

bool stamp_is_whole_odd(const void *block, size_t size)
{
    uint64_t value = stamp_value(block, size);
    if (size < sizeof value)
        return memcmp(block, &value, size) == 0;
    return memcmp(block, &value, sizeof value) == 0 &&
           ((const unsigned char *)block)[size - 1] == stamp_last(value);
}
