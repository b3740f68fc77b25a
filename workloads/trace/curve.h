/*
 * How live bytes went over a trace, in a few hundred bins, in one pass and without knowing the
 * length beforehand: when the bins are full, each two neighbours become one. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_CURVE_H
#define HEAPMARK_TRACE_CURVE_H

#include <stdbool.h>
#include <stdint.h>

enum { CURVE_BINS = 512 }; /* of which at least half are used, unless the trace is shorter */

struct curve_bin {
    double byte_sum; /* live bytes, summed over the positions in the bin */
    uint64_t bytes_max;
    uint64_t events;
    uint64_t first_time; /* of its first event, in ticks; meaningful when it has one */
};

/* Positions are ticks, or numbers of events: whatever shall be spread evenly. */
struct trace_curve {
    struct curve_bin bins[CURVE_BINS];
    uint64_t width;    /* positions in a bin */
    uint32_t count;    /* bins used */
    uint64_t position; /* up to which it is filled */
    uint64_t live_bytes;
};

void curve_begin(struct trace_curve *curve);

/* An event at a position not before the last one's, at a time in ticks; live bytes after it. */
void curve_add(struct trace_curve *curve, uint64_t position, uint64_t time, uint64_t live_bytes);

/* The mean of the bins from `first` to before `end`, at least one of them. */
double curve_mean(const struct trace_curve *curve, uint32_t first, uint32_t end);

/* A stretch of the trace over which live bytes hardly change. */
struct curve_window {
    uint32_t first, end; /* bins */
    double bytes_mean;   /* over the window */
    double spread;       /* from the lowest to the highest bin, as a share of the mean */
    uint64_t events;
};

/*
 * The longest window in which the bins' means differ by at most `spread` of the window's mean, and
 * which is at least `share` of the curve. False when there is none; *window is then the flattest
 * one of that share.
 */
bool curve_find_steady(const struct trace_curve *curve, double spread, double share,
                       struct curve_window *window);

#endif
