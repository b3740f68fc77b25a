/*
 * sizemix: sizes as a fleet of servers asks for them, random replacement among many live blocks.
 *
 * The distribution is shaped after what Google published of its fleet (Zhou et al. 2024,
 * Characterizing a Memory Allocator at Warehouse Scale): small objects rule by number, half of them
 * at most 48 bytes and 98.6 % at most 8 KiB, and the few large ones rule by bytes. Sizes are uniform
 * inside each class of the table below.
 */
#include "workloads/sizemix.h"

#include "workloads/slots.h"

enum { SLOTS, SIZE_LIMIT };

static const struct workload_option options[] = {
    [SLOTS] = {"slots", OPTION_COUNT, "10000", 1, 10000000, NULL, "live blocks of each thread"},
    [SIZE_LIMIT] = {"size_limit", OPTION_BYTES, "1m", 8, 1 << 20, NULL,
                    "larger draws are cut to this"},
    {.name = NULL},
};

/* Share of draws, in hundredths of a percent, that are at most so large. */
static const struct {
    uint32_t share, size;
} classes[] = {
    {600, 8},       {2100, 16},     {3200, 24},     {4400, 32},       {5400, 48},    {6500, 64},
    {7400, 96},     {8000, 128},    {8550, 192},    {8850, 256},      {9300, 512},   {9580, 1024},
    {9720, 2048},   {9800, 4096},   {9860, 8192},   {9910, 16384},    {9945, 32768}, {9970, 65536},
    {9985, 131072}, {9994, 262144}, {9998, 524288}, {10000, 1048576},
};

uint32_t sizemix_draw(uint64_t *rng)
{
    uint32_t share = (uint32_t)rng_below(rng, 10000), smaller = 0;
    size_t i = 0;
    for (; share >= classes[i].share; i++)
        smaller = classes[i].size;
    return smaller + 1 + (uint32_t)rng_below(rng, classes[i].size - smaller);
}

static uint32_t draw_size(struct trial *trial, uint64_t *rng)
{
    uint64_t size = sizemix_draw(rng), limit = trial_param(trial, SIZE_LIMIT);
    return (uint32_t)(size < limit ? size : limit);
}

static int setup(struct trial *trial)
{
    slots_setup(trial, trial_param(trial, SLOTS), draw_size);
    return 0;
}

/* Slots fill as they are drawn: the live set grows as that of a starting server does. */
HM_INLINE void sizemix(struct worker *w, bool timed)
{
    const struct slots *state = w->state;
    const uint64_t slot_count = trial_param(w->trial, SLOTS);
    uint64_t frees = 0;
    for (uint64_t i = 0; i < w->work; i++) {
        const struct draw *draw = &state->draws[i % DRAWS];
        struct slot *slot = &state->slots[draw->slot];
        if (slot->block != NULL) {
            slot_empty(w, slot, timed);
            frees++;
        }
        slot_fill(w, slot, draw->size, timed);
    }
    for (uint64_t i = 0; i < slot_count; i++)
        if (state->slots[i].block != NULL) {
            slot_empty(w, &state->slots[i], timed);
            frees++;
        }
    w->ops += w->work + frees;
}
WORKLOAD_INSTANCES(sizemix)

const struct workload workload_sizemix = {
    .name = "sizemix",
    .summary = "sizes as a server fleet asks for them, random replacement among many live blocks",
    .source = "Zhou et al. 2024, Characterizing a Memory Allocator at Warehouse Scale",
    .work_unit = "replacements",
    .options = options,
    .setup = setup,
    .run = sizemix_plain,
    .run_timed = sizemix_timed,
};
