#include "workloads/trace/curve.h"

#include <string.h>

void curve_begin(struct trace_curve *curve)
{
    memset(curve, 0, sizeof *curve);
    curve->width = 1;
}

static struct curve_bin join(const struct curve_bin *a, const struct curve_bin *b)
{
    return (struct curve_bin){
        .byte_sum = a->byte_sum + b->byte_sum,
        .bytes_max = a->bytes_max > b->bytes_max ? a->bytes_max : b->bytes_max,
        .events = a->events + b->events,
        .first_time = a->events > 0 ? a->first_time : b->first_time,
    };
}

static void halve(struct trace_curve *curve)
{
    for (uint32_t i = 0; i < CURVE_BINS / 2; i++)
        curve->bins[i] = join(&curve->bins[2 * i], &curve->bins[2 * i + 1]);
    memset(curve->bins + CURVE_BINS / 2, 0, sizeof curve->bins / 2);
    curve->count = (curve->count + 1) / 2;
    curve->width *= 2;
}

/* The live bytes stay what they were up to the position. */
static void fill(struct trace_curve *curve, uint64_t position)
{
    while (curve->position < position) {
        uint64_t bin = curve->position / curve->width;
        uint64_t step = curve->width - curve->position % curve->width;
        if (step > position - curve->position)
            step = position - curve->position;
        curve->bins[bin].byte_sum += (double)step * (double)curve->live_bytes;
        if (curve->live_bytes > curve->bins[bin].bytes_max)
            curve->bins[bin].bytes_max = curve->live_bytes;
        curve->position += step;
    }
}

void curve_add(struct trace_curve *curve, uint64_t position, uint64_t time, uint64_t live_bytes)
{
    while (position / curve->width >= CURVE_BINS)
        halve(curve);
    fill(curve, position);
    struct curve_bin *bin = &curve->bins[position / curve->width];
    if (bin->events++ == 0)
        bin->first_time = time;
    if (live_bytes > bin->bytes_max)
        bin->bytes_max = live_bytes;
    curve->count = (uint32_t)(position / curve->width) + 1;
    curve->live_bytes = live_bytes;
}

/* How much of a bin has been filled: all, but for the last one. */
static double filled(const struct trace_curve *curve, uint32_t bin)
{
    uint64_t here = curve->position - bin * curve->width;
    return (double)(here < curve->width ? here : curve->width);
}

/* The end of the last bin may be a single event, which lasts no time. */
static double bin_mean(const struct trace_curve *curve, uint32_t bin)
{
    uint64_t begin = bin * curve->width;
    if (curve->position <= begin)
        return (double)curve->live_bytes;
    return curve->bins[bin].byte_sum / filled(curve, bin);
}

double curve_mean(const struct trace_curve *curve, uint32_t first, uint32_t end)
{
    double sum = 0;
    for (uint32_t i = first; i < end; i++)
        sum += bin_mean(curve, i);
    return sum / (end - first);
}

/* A window that is grown bin by bin. */
struct growing {
    double low, high, sum;
};

static void grow(struct growing *g, double mean, bool first)
{
    g->low = first || mean < g->low ? mean : g->low;
    g->high = first || mean > g->high ? mean : g->high;
    g->sum = first ? mean : g->sum + mean;
}

static struct curve_window window_of(const struct trace_curve *curve, const struct growing *g,
                                     uint32_t first, uint32_t end)
{
    struct curve_window window = {.first = first, .end = end, .bytes_mean = g->sum / (end - first)};
    window.spread = window.bytes_mean > 0 ? (g->high - g->low) / window.bytes_mean : 0;
    for (uint32_t i = first; i < end; i++)
        window.events += curve->bins[i].events;
    return window;
}

bool curve_find_steady(const struct trace_curve *curve, double spread, double share,
                       struct curve_window *window)
{
    uint32_t bins_min = (uint32_t)(share * curve->count) > 1 ? (uint32_t)(share * curve->count) : 1;
    struct curve_window longest = {0}, flattest = {0};
    for (uint32_t first = 0; first + bins_min <= curve->count; first++) {
        struct growing g = {0};
        for (uint32_t end = first + 1; end <= curve->count; end++) {
            grow(&g, bin_mean(curve, end - 1), end == first + 1);
            double mean = g.sum / (end - first);
            bool steady = g.high - g.low <= spread * mean;
            if (end - first == bins_min &&
                (flattest.end == 0 || g.high - g.low < flattest.spread * mean))
                flattest = window_of(curve, &g, first, end);
            if (steady && end - first >= bins_min && end - first > longest.end - longest.first)
                longest = window_of(curve, &g, first, end);
        }
    }
    *window = longest.end > 0 ? longest : flattest;
    return longest.end > 0;
}
