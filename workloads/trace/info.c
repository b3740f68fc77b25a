#include "workloads/trace/info.h"

#include "workloads/trace/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Log-linear: the upper part keeps the leading bit and the five after it. */
static unsigned bucket_of(uint64_t value)
{
    if (value < TRACE_BUCKETS_EXACT)
        return (unsigned)value;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(value);
    unsigned within = (unsigned)(value >> (log2 - 5)) & (TRACE_BUCKETS_PER_DOUBLE - 1);
    return TRACE_BUCKETS_EXACT + (log2 - 10) * TRACE_BUCKETS_PER_DOUBLE + within;
}

uint64_t trace_bucket_low(unsigned bucket)
{
    if (bucket < TRACE_BUCKETS_EXACT)
        return bucket;
    unsigned log2 = 10 + (bucket - TRACE_BUCKETS_EXACT) / TRACE_BUCKETS_PER_DOUBLE;
    uint64_t within = (bucket - TRACE_BUCKETS_EXACT) % TRACE_BUCKETS_PER_DOUBLE;
    return (TRACE_BUCKETS_PER_DOUBLE + within) << (log2 - 5);
}

uint64_t trace_bucket_high(unsigned bucket)
{
    return bucket + 1 < TRACE_BUCKETS ? trace_bucket_low(bucket + 1) - 1 : UINT64_MAX;
}

static void add(struct trace_histogram *histogram, uint64_t value, uint64_t bytes)
{
    unsigned bucket = bucket_of(value);
    histogram->objects[bucket]++;
    histogram->bytes[bucket] += bytes;
}

uint64_t trace_info_size_quantile(const struct trace_info *info, double share)
{
    uint64_t total = info->header.objects, below = 0;
    for (unsigned i = 0; i < TRACE_BUCKETS; i++) {
        below += info->sizes.objects[i];
        if (below > 0 && (double)below >= share * (double)total) {
            uint64_t size = trace_bucket_high(i);
            return size < info->size_largest ? size : info->size_largest;
        }
    }
    return info->size_largest;
}

/* When the object in each slot was made, in ticks. Grows with the slots that were really used. */
struct births {
    uint64_t *ticks;
    uint32_t capacity;
};

static int births_reach(struct births *births, uint32_t slot)
{
    if (slot < births->capacity)
        return 0;
    uint64_t capacity = births->capacity ? births->capacity * UINT64_C(2) : 1024;
    while (capacity <= slot)
        capacity *= 2;
    uint64_t *ticks = realloc(births->ticks, capacity * sizeof *ticks);
    if (ticks == NULL)
        return -ENOMEM;
    births->ticks = ticks;
    births->capacity = (uint32_t)(capacity < UINT32_MAX ? capacity : UINT32_MAX);
    return 0;
}

static uint64_t ticks_to_ns(const struct trace_info *info, uint64_t ticks)
{
    return (uint64_t)((double)ticks * 1e9 / (double)info->header.ticks_hz);
}

/* 0 or -ENOMEM. A realloc ends one object and makes another one in the same slot. */
static int count(struct trace_info *info, struct births *births, const struct trace_event *event)
{
    info->ops[event->op]++;
    info->moved += event->moved;
    if (trace_ends(event->op)) {
        uint64_t ticks = event->time - births->ticks[event->slot];
        add(&info->lifetimes, ticks_to_ns(info, ticks), event->ended_size);
        info->foreign_ends += event->ended_owner != event->thread;
    }
    if (!trace_allocates(event->op))
        return 0;
    if (births_reach(births, event->slot) != 0)
        return -ENOMEM;
    births->ticks[event->slot] = event->time;
    add(&info->sizes, event->size, event->size);
    if (event->size > info->size_largest)
        info->size_largest = event->size;
    return 0;
}

int trace_info_read(struct trace_info *info, const char *path, char *error, size_t error_bytes)
{
    struct trace_reader *reader;
    int result = trace_reader_open(&reader, path, error, error_bytes);
    if (result != 0)
        return result;
    memset(info, 0, sizeof *info);
    info->header = *trace_reader_header(reader);
    memcpy(info->command, trace_reader_command(reader), info->header.command_bytes);
    struct births births = {0};
    struct trace_event event;
    enum trace_next next = TRACE_END;
    while (result == 0 && (next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        result = count(info, &births, &event);
    if (next == TRACE_ERROR) {
        snprintf(error, error_bytes, "%s", trace_reader_error(reader));
        result = -EINVAL;
    } else if (result != 0) {
        snprintf(error, error_bytes, "'%s' has more live objects than there is memory for", path);
    }
    free(births.ticks);
    info->live_objects_end = trace_reader_rules(reader)->live_objects;
    trace_reader_close(reader);
    struct stat file;
    info->file_bytes = stat(path, &file) == 0 ? (uint64_t)file.st_size : 0;
    return result;
}
