#include "workloads/trace/owed.h"

#include <stdlib.h>

enum { OWED_MAX = 4096 };

bool owed_open(struct owed *owed)
{
    owed->ring = calloc(OWED_MAX, sizeof *owed->ring);
    return owed->ring != NULL;
}

void owed_release(struct owed *owed)
{
    free(owed->ring);
    addresses_release(&owed->places);
}

bool owed_is_full(const struct owed *owed)
{
    return owed->count == OWED_MAX;
}

struct owing *owed_find(struct owed *owed, uint64_t address)
{
    uint32_t place;
    if (owed->places.count == 0 || !addresses_find(&owed->places, address, &place))
        return NULL;
    return &owed->ring[place];
}

int owed_add(struct owed *owed, struct owing owing)
{
    uint32_t place = (owed->first + owed->count) % OWED_MAX;
    int error = addresses_add(&owed->places, owing.address, place);
    if (error != 0)
        return error;
    owed->ring[place] = owing;
    owed->count++;
    return 0;
}

void owed_settle_one(struct owed *owed, struct owing *owing)
{
    if (--owing->count == 0)
        owed_settle(owed, owing);
}

void owed_settle(struct owed *owed, struct owing *owing)
{
    uint32_t place;
    addresses_take(&owed->places, owing->address, &place);
    owing->kind = OWED_NOTHING;
}

struct owing *owed_oldest(struct owed *owed)
{
    while (owed->count > 0 && owed->ring[owed->first].kind == OWED_NOTHING) {
        owed->first = (owed->first + 1) % OWED_MAX;
        owed->count--;
    }
    return owed->count > 0 ? &owed->ring[owed->first] : NULL;
}
