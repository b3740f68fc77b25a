/* Which slot of the trace lives at which address: a hash table of the live objects alone. */
#ifndef HEAPMARK_TRACE_ADDRESSES_H
#define HEAPMARK_TRACE_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address {
    uint64_t address; /* 0: empty */
    uint32_t slot;
};

struct addresses {
    struct address *entries;
    size_t capacity, count; /* capacity is a power of two */
};

/* Adds an address that is not there. 0 or -ENOMEM. Start with a zeroed struct. */
int addresses_add(struct addresses *addresses, uint64_t address, uint32_t slot);

/* Takes an address out; false when it is not there. */
bool addresses_take(struct addresses *addresses, uint64_t address, uint32_t *slot);

/* Looks one up; false when it is not there. */
bool addresses_find(const struct addresses *addresses, uint64_t address, uint32_t *slot);

bool addresses_has(const struct addresses *addresses, uint64_t address);
void addresses_release(struct addresses *addresses);

#endif
