/* heapmark trace info --format=csv: RFC 4180, one table at a time. */
#include "cmd/trace.h"
#include "workloads/trace/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef void print_table(const struct trace_report *report);

static double ns_of(const struct trace_info *info, uint64_t ticks)
{
    return (double)ticks * 1e9 / (double)info->header.ticks_hz;
}

/* ---- one row a property ---------------------------------------------------------------------- */

static void print_value(const char *name, uint64_t value)
{
    printf("%s,%" PRIu64 "\r\n", name, value);
}

static void print_summary(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    const struct trace_file_header *header = &info->header;
    const char *source = import_name((enum trace_source)header->source);
    printf("property,value\r\nsource,%s\r\n", source != NULL ? source : "");
    print_value("lacks", header->lacks);
    print_value("flags", header->flags);
    print_value("sample", header->sample);
    print_value("threads", header->threads);
    print_value("events", header->events);
    print_value("objects", header->objects);
    print_value("objects_live_peak", header->slots);
    print_value("live_bytes_peak", header->live_bytes_peak);
    print_value("live_bytes_end", header->live_bytes_end);
    print_value("live_objects_end", info->live_objects_end);
    print_value("allocated_bytes", info->allocated_bytes);
    print_value("size_bytes_max", info->size_largest);
    print_value("foreign_ends", info->foreign_ends);
    print_value("reallocs_moved", info->moved);
    print_value("failed_calls", header->failed_calls);
    print_value("null_frees", header->null_frees);
    print_value("unknown_frees", header->unknown_frees);
    print_value("lost_frees", header->lost_frees);
    print_value("skipped_lines", header->skipped_lines);
    print_value("front_events", header->front_events);
    print_value("pid", header->pid);
    print_value("parent_pid", header->parent_pid);
    print_value("start_ns", header->start_ns);
    print_value("file_bytes", info->file_bytes);
    printf("duration_ns,%.0f\r\npeak_ns,%.0f\r\n", ns_of(info, header->duration_ticks),
           ns_of(info, info->peak_time));
}

static void print_ops(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    printf("op,events\r\n");
    for (int op = TRACE_MALLOC; op < TRACE_OP_COUNT; op++)
        printf("%s,%" PRIu64 "\r\n", trace_op_names[op], info->ops[op]);
}

/* ---- histograms ------------------------------------------------------------------------------ */

static void print_buckets(const char *name, const struct trace_histogram *histogram)
{
    for (unsigned i = 0; i < TRACE_BUCKETS; i++)
        if (histogram->objects[i] > 0)
            printf("%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\r\n", name,
                   trace_bucket_low(i), trace_bucket_high(i), histogram->objects[i],
                   histogram->bytes[i]);
}

static const char histogram_header[] = "property,low,high,objects,bytes\r\n";

static void print_sizes(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    printf("%s", histogram_header);
    print_buckets("size_bytes", &info->sizes);
}

/* Without times an object's age is a number of events. */
static void print_ages(const struct trace_info *info)
{
    bool timed = (info->header.lacks & TRACE_LACKS_TIMES) == 0;
    print_buckets(timed ? "lifetime_ns" : "lifetime_events", &info->lifetimes);
}

static void print_lifetimes(const struct trace_report *report)
{
    printf("%s", histogram_header);
    print_ages(report->info);
}

static void print_leaks(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    printf("%s", histogram_header);
    print_buckets("never_freed_bytes", &info->kept);
}

/* What `heapmark plot` draws. */
static void print_histograms(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    print_sizes(report);
    print_ages(info);
    if (info->live_objects_end > 0)
        printf("never_freed,,,%" PRIu64 ",%" PRIu64 "\r\n", info->live_objects_end,
               info->header.live_bytes_end);
}

/* ---- time, threads, call sites --------------------------------------------------------------- */

static void print_live(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    const struct trace_curve *live = &info->live;
    printf("time_ns,live_bytes_mean,live_bytes_max,events\r\n");
    for (uint32_t i = 0; i < live->count; i++)
        printf("%.0f,%.0f,%" PRIu64 ",%" PRIu64 "\r\n", ns_of(info, i * live->width),
               curve_mean(live, i, i + 1), live->bins[i].bytes_max, live->bins[i].events);
}

static void print_threads(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    printf("thread,first_ns,last_ns,events,allocations,ends,allocated_bytes,foreign_ends,"
           "never_freed_objects,never_freed_bytes\r\n");
    for (uint32_t i = 0; i < info->header.threads; i++) {
        const struct trace_thread_info *thread = &report->details->threads[i];
        printf("%" PRIu32 ",%.0f,%.0f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
               ",%" PRIu64 ",%" PRIu64 "\r\n",
               i, ns_of(info, thread->first_time), ns_of(info, thread->last_time), thread->events,
               thread->allocations, thread->ends, thread->bytes, thread->foreign_ends,
               thread->kept_objects, thread->kept_bytes);
    }
}

/* Quoted: names of modules may hold anything. */
static void print_frames(const struct trace_site *site, struct symbols *symbols)
{
    char text[512];
    for (uint32_t frame = 0; frame < site->depth; frame++)
        printf("%s0x%" PRIx64, frame == 0 ? "" : " ", site->frames[frame]);
    printf(",\"");
    for (uint32_t frame = 0; frame < site->depth; frame++) {
        printf("%s", frame == 0 ? "" : "; ");
        for (const char *c = symbols_describe(symbols, site->frames[frame], text, sizeof text);
             *c != '\0'; c++)
            printf(*c == '"' ? "\"\"" : "%c", *c);
    }
    printf("\"\r\n");
}

static void print_sites(const struct trace_report *report)
{
    const struct trace_sites *sites = &report->details->sites;
    printf("objects,bytes,never_freed_objects,never_freed_bytes,frames,functions\r\n");
    for (uint32_t i = 0; i < sites->count; i++) {
        const struct trace_site *site = &sites->sites[i];
        printf("%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", site->objects, site->bytes,
               site->live_objects, site->live_bytes);
        print_frames(site, report->symbols);
    }
}

/* ---- their names ----------------------------------------------------------------------------- */

const char *const trace_table_names[TRACE_TABLES] = {
    "summary", "ops", "histograms", "sizes", "lifetimes", "leaks", "live", "threads", "sites",
};

void trace_print_table(const char *name, const struct trace_report *report)
{
    static print_table *const printers[TRACE_TABLES] = {
        print_summary, print_ops,  print_histograms, print_sizes, print_lifetimes,
        print_leaks,   print_live, print_threads,    print_sites,
    };
    for (int i = 0; i < TRACE_TABLES; i++)
        if (strcmp(name, trace_table_names[i]) == 0)
            printers[i](report);
}
