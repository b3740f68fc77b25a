#include "workloads/trace/info.h"

#include "workloads/trace/reader.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Log-linear: the upper part keeps the leading bit and the five after it. */
static unsigned size_counter(uint64_t size)
{
    if (size < SIZES_EXACT)
        return (unsigned)size;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(size);
    unsigned within = (unsigned)(size >> (log2 - 5)) & (SIZES_PER_DOUBLE - 1);
    return SIZES_EXACT + (log2 - 10) * SIZES_PER_DOUBLE + within;
}

/* The largest size that the counter stands for. */
static uint64_t counter_size(unsigned counter)
{
    if (counter < SIZES_EXACT)
        return counter;
    unsigned log2 = 10 + (counter - SIZES_EXACT) / SIZES_PER_DOUBLE;
    uint64_t within = (counter - SIZES_EXACT) % SIZES_PER_DOUBLE;
    return ((SIZES_PER_DOUBLE + within + 1) << (log2 - 5)) - 1;
}

uint64_t trace_info_size_quantile(const struct trace_info *info, double share)
{
    uint64_t total = info->header.objects, below = 0;
    for (unsigned i = 0; i < SIZES_COUNTERS; i++) {
        below += info->sizes[i];
        if (below > 0 && (double)below >= share * (double)total) {
            uint64_t size = counter_size(i);
            return size < info->size_largest ? size : info->size_largest;
        }
    }
    return info->size_largest;
}

static void count(struct trace_info *info, const struct trace_event *event)
{
    info->ops[event->op]++;
    info->moved += event->moved;
    if (trace_ends(event->op))
        info->foreign_ends += event->ended_owner != event->thread;
    if (!trace_allocates(event->op))
        return;
    info->sizes[size_counter(event->size)]++;
    if (event->size > info->size_largest)
        info->size_largest = event->size;
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
    struct trace_event event;
    enum trace_next next;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        count(info, &event);
    if (next == TRACE_ERROR) {
        snprintf(error, error_bytes, "%s", trace_reader_error(reader));
        result = -EINVAL;
    }
    info->live_objects_end = trace_reader_rules(reader)->live_objects;
    trace_reader_close(reader);
    struct stat file;
    info->file_bytes = stat(path, &file) == 0 ? (uint64_t)file.st_size : 0;
    return result;
}
