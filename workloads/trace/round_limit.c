/*
 * Streams are merged by time in strides of records, with a heap of where each of them stands. So a round is as
 * large when one thread calls all the time and hundreds now and then, as when all do alike: who took the same
 * share from each would end it after a few records of the busy one.
 */
#include "workloads/trace/round_limit.h"

#include <errno.h>
#include <stdlib.h>

enum { STRIDE_MIN = 16 };

/* A stream, at the record that ends its next stride. */
struct head {
    const struct stream *stream;
    struct stream_ahead ahead;
};

/* heads[at] may be later than those below it. */
static void sift_down(struct head *heads, uint32_t count, uint32_t at)
{
    const struct head moved = heads[at];
    for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heads[child + 1].ahead.time < heads[child].ahead.time)
            child++;
        if (moved.ahead.time <= heads[child].ahead.time)
            break;
        heads[at] = heads[child];
        at = child;
    }
    heads[at] = moved;
}

static bool has_records(const struct stream *stream)
{
    uint64_t time;
    return stream->first < stream->count && stream_peek(stream, &time);
}

/*
 * Those that have records. Looked at once: threads go on writing, and who has none now may have many in a moment.
 */
static uint32_t collect(const struct stream *streams, uint32_t count, struct head *heads)
{
    uint32_t active = 0;
    for (uint32_t i = 0; i < count; i++)
        if (has_records(&streams[i]))
            heads[active++] = (struct head){&streams[i], stream_ahead(&streams[i])};
    return active;
}

/* Each moves to the end of its first stride; those that have none go. How many are left. */
static uint32_t move_all(struct head *heads, uint32_t active, uint32_t stride)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < active; i++)
        if (stream_move_ahead(heads[i].stream, &heads[i].ahead, stride))
            heads[n++] = heads[i];
    for (uint32_t at = n / 2; at-- > 0;)
        sift_down(heads, n, at);
    return n;
}

/* The time at which so many strides have ended, or UINT64_MAX. */
static uint64_t merge(struct head *heads, uint32_t count, uint32_t stride, uint32_t strides)
{
    while (count > 0 && --strides > 0) {
        if (!stream_move_ahead(heads[0].stream, &heads[0].ahead, stride))
            heads[0] = heads[--count];
        if (count > 0)
            sift_down(heads, count, 0);
    }
    return count > 0 ? heads[0].ahead.time : UINT64_MAX;
}

int round_limit(const struct stream *streams, uint32_t count, uint64_t begin, uint64_t end,
                uint64_t *limit)
{
    struct head *heads = malloc((count > 0 ? count : 1) * sizeof *heads);
    if (heads == NULL)
        return -ENOMEM;
    uint32_t active = collect(streams, count, heads);
    uint32_t stride = active > 0 ? ROUND_RECORDS / active : ROUND_RECORDS;
    if (stride < STRIDE_MIN)
        stride = STRIDE_MIN;
    uint32_t moved = move_all(heads, active, stride);
    uint64_t time = merge(heads, moved, stride, ROUND_RECORDS / stride);
    free(heads);
    *limit = end;
    if (time < begin)
        time = begin;
    if (time < end)
        *limit = time + 1;
    return 0;
}
