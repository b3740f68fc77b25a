/* heapmark trace info, for people. */
#include "cmd/trace.h"
#include "cmd/trace_chart.h"
#include "util/say.h"
#include "util/shell.h"
#include "workloads/trace/import.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS_SHOWN = 16, SITES_SHOWN = 20 };

/* Of a histogram's rows: what stands before the bar, and the bar. */
enum { ROW_COLUMNS = 62, BAR_MAX = 40 };

const char *const trace_op_names[TRACE_OP_COUNT] = {
    [TRACE_MALLOC] = "malloc",     [TRACE_CALLOC] = "calloc", [TRACE_ALIGNED] = "aligned",
    [TRACE_REALLOC] = "realloc",   [TRACE_FREE] = "free",     [TRACE_SPAWN] = "thread starts",
    [TRACE_JOIN] = "thread joins",
};

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* ---- where it comes from --------------------------------------------------------------------- */

/* There is no program then. */
static bool is_kernels(const struct trace_file_header *header)
{
    return header->source == TRACE_SOURCE_KMEM || header->source == TRACE_SOURCE_KMEM_PAGES;
}

static void print_command(const struct trace_info *info)
{
    const char *words = info->command;
    size_t bytes = info->header.command_bytes;
    bool is_cut = bytes > 0 && *words == '\0'; /* see docs/trace-format.md */
    const char *command =
        is_cut ? shell_command(words + 1, bytes - 1) : shell_command(words, bytes);
    printf("command           %s%s\n", *command != '\0' ? command : "unknown",
           is_cut ? ", with more arguments than a recording keeps" : "");
}

static void print_date(const struct trace_file_header *header)
{
    char date[32];
    time_t when = (time_t)header->recorded_at;
    struct tm local;
    if (when == 0 || localtime_r(&when, &local) == NULL ||
        strftime(date, sizeof date, "%F %T", &local) == 0)
        snprintf(date, sizeof date, "unknown");
    printf("recorded          %s\n", date);
}

/* Of several in a recording this tells which one it was, and in what order they came. */
static void print_process(const struct trace_file_header *header)
{
    char after[32];
    if (header->pid != 0)
        printf("process           %" PRIu32 ", started by %" PRIu32
               "; first call %s after the recording's start\n",
               header->pid, header->parent_pid, chart_time((double)header->start_ns, after));
}

static void print_end(const struct trace_file_header *header)
{
    int status = header->exit_status;
    if (header->flags & TRACE_STATUS_UNKNOWN)
        printf("ended             nobody knows how\n");
    else if (WIFSIGNALED(status))
        printf("ended             by signal %d (%s)\n", WTERMSIG(status),
               sigdescr_np(WTERMSIG(status)));
    else
        printf("ended             with status %d\n", WEXITSTATUS(status));
}

static void print_flags(const struct trace_file_header *header)
{
    static const struct {
        uint32_t flag;
        const char *note;
    } notes[] = {
        {TRACE_TRUNCATED, "recording stopped before the program's end"},
        {TRACE_FORKED, "children of fork() were not recorded"},
        {TRACE_REPLACED, "what followed exec() is not in the trace"},
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (header->flags & notes[i].flag)
            printf("note              %s\n", notes[i].note);
    if ((header->flags & TRACE_PARTIAL) && header->front_events == 0)
        printf("note              recording was started or stopped while the program ran, or this "
               "is a part of its trace\n");
    if (header->sample > 1)
        printf("note              a sample: one object in %" PRIu32 "\n", header->sample);
    if (header->front_events > 0)
        printf("note              a part of a trace: its first %" PRIu64
               " event%s make%s what lived where it was cut out\n",
               header->front_events, say_plural(header->front_events),
               header->front_events == 1 ? "s" : "");
}

/* What an imported trace cannot tell, because its source did not. */
static void print_source(const struct trace_file_header *header)
{
    static const struct {
        uint32_t lack;
        const char *note;
    } notes[] = {
        {TRACE_LACKS_TIMES, "no times are known: each event lasts one tick"},
        {TRACE_LACKS_FINE_TIMES, "times are coarse: many events have the same one"},
        {TRACE_LACKS_THREADS, "no threads are known: all events are one thread's"},
        {TRACE_LACKS_CALLS, "calloc and aligned allocations are not told from malloc"},
        {TRACE_LACKS_REALLOCS, "a realloc reads as a free and a malloc"},
        {TRACE_LACKS_IDENTITY, "which of several equal objects was freed is not known: the "
                               "youngest is taken"},
    };
    const char *from = import_description((enum trace_source)header->source);
    if (from == NULL)
        return;
    printf("imported from     %s\n", from);
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (header->lacks & notes[i].lack)
            printf("note              %s\n", notes[i].note);
    if (is_kernels(header))
        printf("note              threads are CPUs\n");
    if (header->skipped_lines > 0)
        printf("note              %" PRIu64 " lines of the source could not be used\n",
               header->skipped_lines);
}

static void print_origin(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    if (!is_kernels(header))
        print_command(info);
    print_process(header);
    print_date(header);
    printf("duration          %.3f s\n", (double)header->duration_ticks / (double)header->ticks_hz);
    if (!is_kernels(header))
        print_end(header);
    print_source(header);
    print_flags(header);
}

/* ---- totals ---------------------------------------------------------------------------------- */

static void print_events(const struct trace_info *info)
{
    printf("file              %" PRIu64 " bytes, %.2f an event\n", info->file_bytes,
           (double)info->file_bytes / (double)(info->header.events ? info->header.events : 1));
    printf("threads           %" PRIu32 "\n", info->header.threads);
    printf("events            %" PRIu64 "\n", info->header.events);
    for (int op = TRACE_MALLOC; op < TRACE_OP_COUNT; op++)
        if (info->ops[op] > 0)
            printf("  %-15s %" PRIu64 "\n", trace_op_names[op], info->ops[op]);
    if (info->ops[TRACE_REALLOC] > 0)
        printf("  realloc moved   %.1f %%\n",
               percent((double)info->moved, (double)info->ops[TRACE_REALLOC]));
    uint64_t ends = info->ops[TRACE_FREE] + info->ops[TRACE_REALLOC];
    printf("ended elsewhere   %.2f %% of frees and reallocs are in another thread than the "
           "allocation\n",
           percent((double)info->foreign_ends, (double)ends));
}

static void print_memory(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    double seconds = (double)info->peak_time / (double)header->ticks_hz;
    printf("objects           %" PRIu64 ", at most %" PRIu64 " live\n", header->objects,
           header->slots);
    printf("live bytes        %" PRIu64 " at the peak, %" PRIu64 " at the end\n",
           header->live_bytes_peak, header->live_bytes_end);
    printf("peak              after %.6f s (%.0f %% of the time), with %" PRIu64 " object%s live\n",
           seconds, percent((double)info->peak_time, (double)header->duration_ticks),
           info->peak_objects, say_plural(info->peak_objects));
    printf("never freed       %" PRIu64 " object%s, %" PRIu64 " bytes, %.2f %% of all that was "
           "allocated\n",
           info->live_objects_end, say_plural(info->live_objects_end), header->live_bytes_end,
           percent((double)header->live_bytes_end, (double)info->allocated_bytes));
    printf("sizes             50 %% <= %" PRIu64 ", 90 %% <= %" PRIu64 ", 99 %% <= %" PRIu64
           ", largest %" PRIu64 " bytes\n",
           trace_info_size_quantile(info, 0.5), trace_info_size_quantile(info, 0.9),
           trace_info_size_quantile(info, 0.99), info->size_largest);
}

static void print_left_out(const struct trace_info *info)
{
    const struct trace_file_header *header = &info->header;
    printf("not events        %" PRIu64 " free(NULL), %" PRIu64 " failed calls, %" PRIu64
           " frees of unknown blocks, %" PRIu64 " lost frees\n",
           header->null_frees, header->failed_calls, header->unknown_frees, header->lost_frees);
}

/* ---- curve and histograms -------------------------------------------------------------------- */

static void print_curve(const struct trace_info *info)
{
    char lasts[32];
    double ticks = (double)info->header.duration_ticks;
    if (info->header.lacks & TRACE_LACKS_TIMES)
        snprintf(lasts, sizeof lasts, "%.0f events", ticks);
    else
        chart_time(ticks * 1e9 / (double)info->header.ticks_hz, lasts);
    printf("\nlive bytes over time\n");
    chart_curve(&info->live, lasts);
}

struct row {
    uint64_t objects, bytes;
    char label[40];
};

static void print_rows(const char *title, const struct row *rows, unsigned count)
{
    unsigned first = 0, width = chart_width() > ROW_COLUMNS ? chart_width() - ROW_COLUMNS : 0;
    uint64_t objects = 0, bytes = 0, most = 0;
    for (unsigned i = 0; i < count; i++) {
        objects += rows[i].objects;
        bytes += rows[i].bytes;
        most = rows[i].objects > most ? rows[i].objects : most;
    }
    while (count > 0 && rows[count - 1].objects == 0)
        count--;
    while (first < count && rows[first].objects == 0)
        first++;
    printf("\n%-26s%14s%9s%9s\n", title, "objects", "", "of bytes");
    for (unsigned i = first; i < count; i++) {
        printf("  %-24s%14" PRIu64 "%7.2f %%%7.2f %%  ", rows[i].label, rows[i].objects,
               percent((double)rows[i].objects, (double)objects),
               percent((double)rows[i].bytes, (double)bytes));
        chart_bar((double)rows[i].objects / (double)most, width > BAR_MAX ? BAR_MAX : width);
        printf("\n");
    }
}

static void print_sizes(const char *title, const struct trace_histogram *histogram)
{
    struct row rows[65];
    for (unsigned i = 0; i < 65; i++) {
        uint64_t low = i == 0 ? 0 : UINT64_C(1) << (i - 1);
        uint64_t end = i == 64 ? UINT64_MAX : UINT64_C(1) << i;
        char from[32], to[32];
        trace_histogram_range(histogram, low, end, &rows[i].objects, &rows[i].bytes);
        if (low < 1024)
            snprintf(rows[i].label, sizeof rows[i].label,
                     low + 1 >= end ? "%" PRIu64 : "%" PRIu64 " .. %" PRIu64, low, end - 1);
        else
            snprintf(rows[i].label, sizeof rows[i].label, "%s .. %s",
                     chart_bytes((double)low, from), chart_bytes((double)end, to));
    }
    print_rows(title, rows, 65);
}

/* By decades: the buckets are fine enough to be put together so. */
static void print_lifetimes(const struct trace_info *info)
{
    bool timed = (info->header.lacks & TRACE_LACKS_TIMES) == 0;
    struct row rows[14];
    uint64_t low = 0, end = timed ? 100 : 10;
    for (unsigned i = 0; i < 14; i++) {
        char from[32], to[32];
        trace_histogram_range(&info->lifetimes, low, i == 13 ? UINT64_MAX : end, &rows[i].objects,
                              &rows[i].bytes);
        if (timed)
            snprintf(rows[i].label, sizeof rows[i].label, "%s .. %s", chart_time((double)low, from),
                     chart_time((double)end, to));
        else
            snprintf(rows[i].label, sizeof rows[i].label, "%" PRIu64 " .. %" PRIu64, low, end);
        low = end;
        end *= 10;
    }
    print_rows(timed ? "lifetimes" : "lifetimes, in events", rows, 14);
}

/* ---- threads and call sites ------------------------------------------------------------------ */

static void print_threads(const struct trace_info *info, const struct trace_details *details)
{
    if (info->header.threads < 2)
        return;
    printf("\n%-14s%12s%12s%12s%11s%13s\n", "by thread", "allocations", "frees", "bytes",
           "of others", "never freed");
    for (uint32_t i = 0; i < info->header.threads && i < THREADS_SHOWN; i++) {
        const struct trace_thread_info *thread = &details->threads[i];
        char bytes[32];
        printf("  thread %-5" PRIu32 "%12" PRIu64 "%12" PRIu64 "%12s%11" PRIu64 "%13" PRIu64 "\n",
               i, thread->allocations, thread->ends, chart_bytes((double)thread->bytes, bytes),
               thread->foreign_ends, thread->kept_objects);
    }
    if (info->header.threads > THREADS_SHOWN)
        printf("  and %" PRIu32 " more: --format=csv --table=threads\n",
               info->header.threads - THREADS_SHOWN);
}

static void print_frames(const struct trace_site *site, struct symbols *symbols)
{
    char text[512];
    for (uint32_t frame = 0; frame < site->depth; frame++)
        printf("%*s%s\n", frame == 0 ? 2 : 53, "",
               symbols_describe(symbols, site->frames[frame], text, sizeof text));
    if (site->depth == 0)
        printf("  other sites\n");
}

static void print_sites(const struct trace_report *report)
{
    const struct trace_sites *sites = &report->details->sites;
    if (sites->count == 0)
        return;
    printf("\n%-14s%14s%9s%14s  %s\n", "call sites", "objects", "of bytes", "never freed",
           "called from, the innermost first");
    for (uint32_t i = 0; i < sites->count && i < SITES_SHOWN; i++) {
        const struct trace_site *site = &sites->sites[i];
        char bytes[32], kept[32];
        printf("  %-12s%14" PRIu64 "%7.2f %%%14s", chart_bytes((double)site->bytes, bytes),
               site->objects, percent((double)site->bytes, (double)report->info->allocated_bytes),
               chart_bytes((double)site->live_bytes, kept));
        print_frames(site, report->symbols);
    }
    if (sites->count > SITES_SHOWN)
        printf("  and %" PRIu32 " more: --format=csv --table=sites\n", sites->count - SITES_SHOWN);
    if (report->symbols == NULL)
        printf(
            "  no list of modules lies beside the trace (TRACE.maps): addresses have no names\n");
}

void trace_print_text(const struct trace_report *report)
{
    const struct trace_info *info = report->info;
    print_origin(info);
    print_events(info);
    print_memory(info);
    print_left_out(info);
    print_curve(info);
    print_sizes("sizes, in bytes", &info->sizes);
    if (info->ops[TRACE_FREE] + info->ops[TRACE_REALLOC] > 0)
        print_lifetimes(info);
    if (info->live_objects_end > 0)
        print_sizes("never freed, by bytes", &info->kept);
    print_threads(info, report->details);
    print_sites(report);
}
