#include "knobs.h"

#include <malloc.h>
#include <stdlib.h>

#include "chunk.h"
#include "fault.h"
#include "knob_text.h"

#define VARIABLE "HEAPMARK_PTMALLOC"

const char fault_subject[] = "ptmalloc";

struct ptm_knobs ptm_knobs = {
    .tcache_count = PTM_TCACHE_AUTO,
    .tcache_max = PTM_TCACHE_MAX_REQUEST,
    .mmap_threshold = PTM_MMAP_THRESHOLD_MIN,
    .mmap_max = 65536,
    .trim_threshold = (size_t)128 << 10,
    .top_pad = (size_t)32 << 10,
    .fastbin_max = 128,
    .epoch = 1,
};

/* Setting a threshold by hand stops its adaptation. */
static void fix_thresholds(void *knobs)
{
    ((struct ptm_knobs *)knobs)->fixed = true;
}

static const struct knob table[] = {
#define KNOB(name, field, min, max, set)                             \
    {                                                                \
        name, offsetof(struct ptm_knobs, field), min, max, NULL, set \
    }
    KNOB("arenas", arena_max, 1, 65536, NULL),
    KNOB("tcache", tcache_count, 0, 255, NULL),
    KNOB("tcache_max", tcache_max, 24, PTM_TCACHE_MAX_REQUEST, NULL),
    KNOB("mmap_threshold", mmap_threshold, 1, PTRDIFF_MAX, fix_thresholds),
    KNOB("mmap_max", mmap_max, 0, INT32_MAX, fix_thresholds),
    KNOB("trim_threshold", trim_threshold, 0, SIZE_MAX, fix_thresholds),
    KNOB("top_pad", top_pad, 0, (size_t)1 << 30, fix_thresholds),
    KNOB("fastbin_max", fastbin_max, 0, PTM_TCACHE_MAX_CHUNK, NULL),
    KNOB("perturb", perturb, 0, 255, NULL),
    {0},
#undef KNOB
};

void knobs_from_environment(void)
{
    const char *text = secure_getenv(VARIABLE);

    if (text && *text)
        knob_text_read(text, VARIABLE, table, &ptm_knobs, sizeof ptm_knobs);
}

/* Thread caches notice a new epoch when they next come to their slow path. */
static void new_epoch(void)
{
    __atomic_add_fetch(&ptm_knobs.epoch, 1, __ATOMIC_RELEASE);
}

static int set_threshold(size_t *knob, size_t value)
{
    *knob = value;
    ptm_knobs.fixed = true;
    return 1;
}

int knobs_mallopt(int parameter, int value)
{
    /* Negative values mean "unlimited" to the original, whose parameters are unsigned too. */
    size_t size = (size_t)value;

    switch (parameter) {
    case M_MXFAST:
        if (size > PTM_FASTBIN_LIMIT)
            return 0;
        ptm_knobs.fastbin_max = size ? chunk_size_for(size) : 0;
        new_epoch();
        return 1;
    case M_TRIM_THRESHOLD: return set_threshold(&ptm_knobs.trim_threshold, size);
    case M_TOP_PAD: return set_threshold(&ptm_knobs.top_pad, size);
    case M_MMAP_THRESHOLD:
        if (size > PTM_HEAP_BYTES / 2)
            return 0;
        return set_threshold(&ptm_knobs.mmap_threshold, size);
    case M_MMAP_MAX: return set_threshold(&ptm_knobs.mmap_max, value < 0 ? INT32_MAX : size);
    case M_PERTURB:
        ptm_knobs.perturb = size & 0xff;
        new_epoch();
        return 1;
    case M_ARENA_MAX:
        /* As in the original: what is not positive is no error, and changes nothing. */
        if (value > 0)
            ptm_knobs.arena_max = size;
        return 1;
    default:
        /*
         * M_CHECK_ACTION, M_NLBLKS, M_GRAIN, M_KEEP: accepted and without effect, as documented.
         * M_ARENA_TEST is the number of arenas before the limit is computed: here it is known from the
         * start.
         */
        return 1;
    }
}
