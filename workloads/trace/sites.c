#include "workloads/trace/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VACANT UINT32_MAX

static uint64_t hash_of(const uint64_t *stack, uint32_t depth)
{
    uint64_t hash = depth;
    for (uint32_t i = 0; i < depth; i++) {
        hash = (hash ^ stack[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}

/* Linear probing; the table is never more than half full. */
static uint32_t *probe(const struct trace_sites *s, uint64_t hash, const uint64_t *stack,
                       uint32_t depth)
{
    uint32_t mask = s->table_size - 1, at = (uint32_t)hash & mask;
    for (; s->table[at] != VACANT; at = (at + 1) & mask) {
        const struct trace_site *site = &s->sites[s->table[at]];
        if (site->hash == hash && site->depth == depth &&
            memcmp(site->frames, stack, depth * sizeof *stack) == 0)
            break;
    }
    return &s->table[at];
}

static int grow(struct trace_sites *s)
{
    uint32_t capacity = s->capacity ? 2 * s->capacity : 256;
    struct trace_site *sites = realloc(s->sites, capacity * sizeof *sites);
    if (sites == NULL)
        return -ENOMEM;
    s->sites = sites;
    uint32_t *table = malloc(2ull * capacity * sizeof *table);
    if (table == NULL)
        return -ENOMEM;
    free(s->table);
    s->capacity = capacity;
    s->table = table;
    s->table_size = 2 * capacity;
    memset(table, 0xff, s->table_size * sizeof *table);
    for (uint32_t i = 0; i < s->count; i++)
        *probe(s, s->sites[i].hash, s->sites[i].frames, s->sites[i].depth) = i;
    return 0;
}

int trace_sites_find(struct trace_sites *s, const uint64_t *stack, uint32_t depth, uint32_t *site)
{
    if (depth > SITE_FRAMES)
        depth = SITE_FRAMES;
    if (s->count >= SITES_MAX)
        depth = 0;
    if (s->count == s->capacity && grow(s) != 0)
        return -ENOMEM;
    uint64_t hash = hash_of(stack, depth);
    uint32_t *place = probe(s, hash, stack, depth);
    if (*place == VACANT) {
        *place = s->count++;
        struct trace_site *made = &s->sites[*place];
        *made = (struct trace_site){.depth = depth, .hash = hash};
        if (depth > 0)
            memcpy(made->frames, stack, depth * sizeof *stack);
    }
    *site = *place;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    const struct trace_site *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

void trace_sites_sort(struct trace_sites *s)
{
    if (s->count > 0)
        qsort(s->sites, s->count, sizeof *s->sites, by_bytes);
}

void trace_sites_release(struct trace_sites *s)
{
    free(s->sites);
    free(s->table);
    *s = (struct trace_sites){0};
}
