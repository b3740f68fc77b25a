/*
 * Linear probing with backward-shift deletion (Knuth, The Art of Computer Programming 3, 6.4,
 * algorithm R): no tombstones, because objects come and go without end.
 */
#include "workloads/trace/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Neighbours in memory are neighbours in the table, in groups of 256 bytes: programs use together
 * what lies together, and the table is read as often as they call.
 */
static size_t home(const struct addresses *a, uint64_t address)
{
    uint64_t group = (address >> 8) * 0x9e3779b97f4a7c15u >> 24;
    return (size_t)(group << 4 | (address >> 4 & 15)) & (a->capacity - 1);
}

/* Where the address is, or the empty place where it would go. */
static size_t probe(const struct addresses *a, uint64_t address)
{
    size_t at = home(a, address);
    while (a->entries[at].address != 0 && a->entries[at].address != address)
        at = (at + 1) & (a->capacity - 1);
    return at;
}

static int grow(struct addresses *a)
{
    struct addresses larger = {.capacity = a->capacity ? 2 * a->capacity : 4096, .count = a->count};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < a->capacity; i++)
        if (a->entries[i].address != 0)
            larger.entries[probe(&larger, a->entries[i].address)] = a->entries[i];
    free(a->entries);
    *a = larger;
    return 0;
}

int addresses_add(struct addresses *a, uint64_t address, uint32_t slot)
{
    if (2 * (a->count + 1) > a->capacity) {
        int error = grow(a);
        if (error != 0)
            return error;
    }
    a->entries[probe(a, address)] = (struct address){address, slot};
    a->count++;
    return 0;
}

/* Moves later entries of the same run back, so that no probe meets a gap before its entry. */
static void close_gap(struct addresses *a, size_t gap)
{
    size_t mask = a->capacity - 1;
    for (size_t at = (gap + 1) & mask; a->entries[at].address != 0; at = (at + 1) & mask) {
        size_t wanted = home(a, a->entries[at].address);
        if (((at - wanted) & mask) < ((at - gap) & mask))
            continue;
        a->entries[gap] = a->entries[at];
        gap = at;
    }
    a->entries[gap].address = 0;
}

bool addresses_take(struct addresses *a, uint64_t address, uint32_t *slot)
{
    if (a->count == 0)
        return false;
    size_t at = probe(a, address);
    if (a->entries[at].address == 0)
        return false;
    *slot = a->entries[at].slot;
    a->count--;
    close_gap(a, at);
    return true;
}

bool addresses_find(const struct addresses *a, uint64_t address, uint32_t *slot)
{
    if (a->count == 0)
        return false;
    const struct address *found = &a->entries[probe(a, address)];
    *slot = found->slot;
    return found->address != 0;
}

bool addresses_has(const struct addresses *a, uint64_t address)
{
    return a->count > 0 && a->entries[probe(a, address)].address != 0;
}

void addresses_release(struct addresses *a)
{
    free(a->entries);
    memset(a, 0, sizeof *a);
}
