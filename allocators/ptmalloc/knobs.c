#include "knobs.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunk.h"
#include "out.h"

#define VARIABLE "HEAPMARK_PTMALLOC"

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

static const struct knob {
    const char *name;
    size_t offset;
    size_t min;
    size_t max;
    bool threshold; /* setting it by hand stops the adaptation */
} table[] = {
#define KNOB(name, field, min, max, threshold)                       \
    {                                                                \
        name, offsetof(struct ptm_knobs, field), min, max, threshold \
    }
    KNOB("arenas", arena_max, 1, 65536, false),
    KNOB("tcache", tcache_count, 0, 255, false),
    KNOB("tcache_max", tcache_max, 24, PTM_TCACHE_MAX_REQUEST, false),
    KNOB("mmap_threshold", mmap_threshold, 1, PTRDIFF_MAX, true),
    KNOB("mmap_max", mmap_max, 0, INT32_MAX, true),
    KNOB("trim_threshold", trim_threshold, 0, SIZE_MAX, true),
    KNOB("top_pad", top_pad, 0, (size_t)1 << 30, true),
    KNOB("fastbin_max", fastbin_max, 0, PTM_TCACHE_MAX_CHUNK, false),
    KNOB("perturb", perturb, 0, 255, false),
#undef KNOB
};

#define KNOBS (sizeof table / sizeof table[0])

static const struct knob *knob_named(const char *name, size_t length)
{
    for (size_t i = 0; i < KNOBS; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

/* A decimal number with an optional k, m or g. False unless all of text..end is one that fits. */
static bool parse_size(const char *text, const char *end, size_t *value)
{
    size_t n = 0;
    int shift = 0;

    if (text == end)
        return false;
    for (; text < end && *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *text - '0', &n))
            return false;
    if (text == end - 1) {
        char suffix = *text | 0x20;

        shift = suffix == 'k' ? 10 : suffix == 'm' ? 20 : suffix == 'g' ? 30 : 0;
        if (shift == 0 || n > SIZE_MAX >> shift)
            return false;
        text++;
    }
    *value = n << shift;
    return text == end;
}

static void complain(const char *problem, const char *start, size_t length)
{
    struct out o = out_to_fd(STDERR_FILENO);
    char word[64];

    if (length >= sizeof word)
        length = sizeof word - 1;
    memcpy(word, start, length);
    word[length] = '\0';
    out_put(&o, "ptmalloc: %s '%s' in " VARIABLE "; knobs are", problem, word);
    for (size_t i = 0; i < KNOBS; i++)
        out_put(&o, "%s %s", i ? "," : "", table[i].name);
    out_put(&o, " (name=number[k|m|g], joined by ':'); using the defaults\n");
    out_flush(&o);
}

/* One "name=value" from start to end into `into`. */
static bool parse_knob(const char *start, const char *end, struct ptm_knobs *into)
{
    const char *equals = memchr(start, '=', (size_t)(end - start));
    size_t name_length = (size_t)((equals ? equals : end) - start);
    const struct knob *k = knob_named(start, name_length);
    size_t value;

    if (!k) {
        complain("unknown knob", start, (size_t)(end - start));
        return false;
    }
    if (!equals || !parse_size(equals + 1, end, &value)) {
        complain("no number for knob", start, (size_t)(end - start));
        return false;
    }
    if (value < k->min || value > k->max) {
        complain("value out of range for knob", start, (size_t)(end - start));
        return false;
    }
    *(size_t *)((char *)into + k->offset) = value;
    into->fixed |= k->threshold;
    return true;
}

void knobs_from_environment(void)
{
    const char *text = secure_getenv(VARIABLE);
    struct ptm_knobs parsed = ptm_knobs;

    if (!text || !*text)
        return;
    for (const char *end;; text = end + 1) {
        end = strchrnul(text, ':');
        if (!parse_knob(text, end, &parsed))
            return;
        if (*end == '\0')
            break;
    }
    ptm_knobs = parsed;
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
    case M_ARENA_TEST:
        /* The number of arenas before the limit is computed; here it is known from the start. */
        return value > 0;
    case M_ARENA_MAX:
        if (value <= 0)
            return 0;
        ptm_knobs.arena_max = size;
        return 1;
    default:
        /* M_CHECK_ACTION, M_NLBLKS, M_GRAIN, M_KEEP: accepted and without effect, as documented. */
        return 1;
    }
}
