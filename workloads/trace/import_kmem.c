/*
 * The kernel's kmem events as tracefs gives them in text (the file `trace` or `trace_pipe`), and `perf script`:
 *
 *   task-7  [000] d..1.  12.345678: kmalloc: call_site=f+0x1 ptr=00000000783f4e84 bytes_req=60 ...
 *   task  7 [000]  12.345678:  kmem:kmalloc: call_site=f+0x1 ptr=0xffff888102cb6620 bytes_req=60 ...
 *
 * kmalloc and kmem_cache_alloc make objects of bytes_req, and of zeroes with __GFP_ZERO; kfree and
 * kmem_cache_free end them. What the kernel keeps by CPU it is that counts, so CPUs are the threads
 * here. Pointers are hashes as a rule, which are as good.
 *
 * Pages are what slabs are made of, so they are a format of their own: mm_page_alloc makes a block of 2^order
 * pages, aligned to its size, and mm_page_free ends it. (mm_page_free_batched tells of the same pages once more.)
 */
#include "workloads/trace/import_source.h"
#include "workloads/trace/kernel_events.h"
#include "workloads/trace/scan.h"

/* What stands before the event's fields. */
struct front {
    uint64_t cpu, time;
    const char *name, *fields;
    size_t name_length;
};

/* Behind "[000]": maybe flags, then the time, then the event's name. */
static bool scan_event(const char *at, struct front *front)
{
    scan_blanks(&at);
    const char *time = at;
    if (!scan_seconds(&time, &front->time)) {
        while (*at != ' ' && *at != '\0')
            at++;
        scan_blanks(&at);
        time = at;
        if (!scan_seconds(&time, &front->time))
            return false;
    }
    if (!scan_text(&time, ": "))
        return false;
    scan_blanks(&time);
    scan_text(&time, "kmem:"); /* perf tells which subsystem's it is */
    front->name = time;
    front->fields = strchr(time, ':');
    if (front->fields == NULL || front->fields[1] != ' ')
        return false;
    front->name_length = (size_t)(front->fields - time);
    front->fields++;
    return true;
}

/* A task's name may hold anything, so the first bracket that fits it is. */
static bool scan_front(const char *line, struct front *front)
{
    for (const char *at = line; (at = strstr(at, " [")) != NULL; at++) {
        const char *p = at + 2;
        if (scan_decimal(&p, &front->cpu) && scan_text(&p, "]") && scan_event(p, front))
            return true;
    }
    return false;
}

static bool is(const struct front *front, const char *name)
{
    return front->name_length == strlen(name) && memcmp(front->name, name, front->name_length) == 0;
}

/* The value of " key=", or NULL. */
static const char *find_field(const struct front *front, const char *key)
{
    const char *at = strstr(front->fields, key);
    return at != NULL ? at + strlen(key) : NULL;
}

static bool scan_pointer(const struct front *front, uint64_t *address)
{
    const char *at = find_field(front, " ptr=");
    *address = 0;
    return at != NULL && (scan_text(&at, "(null)") || scan_hex(&at, address)) &&
           (*at == ' ' || *at == '\0');
}

static bool is_allocation(const struct front *front)
{
    return is(front, "kmalloc") || is(front, "kmalloc_node") || is(front, "kmem_cache_alloc") ||
           is(front, "kmem_cache_alloc_node");
}

static bool begins(const char *line)
{
    struct front front;
    return strncmp(line, "# tracer: ", 10) == 0 ||
           (scan_front(line, &front) && find_field(&front, "=") != NULL);
}

/* What heapmark says itself where it has read the kernel's events. */
static void take_note(struct import *import, const char *line)
{
    uint64_t seconds;
    if (strcmp(line, KERNEL_NOTE_ENDED_EARLY) == 0)
        import_facts(import)->flags |= TRACE_TRUNCATED;
    if (scan_text(&line, KERNEL_NOTE_RECORDED_AT) && scan_decimal(&line, &seconds) &&
        seconds <= INT64_MAX)
        import_facts(import)->recorded_at = (int64_t)seconds;
}

static enum line_verdict take_comment(struct import *import, const char *line)
{
    const char *at = strstr(line, "[LOST ");
    uint64_t lost;
    take_note(import, line);
    if (at == NULL)
        return LINE_OTHER;
    at += strlen("[LOST ");
    if (scan_decimal(&at, &lost))
        import_lost(import, lost);
    return LINE_OTHER;
}

static enum line_verdict take_allocation(struct import *import, const struct front *front,
                                         uint64_t address)
{
    const char *at = find_field(front, " bytes_req="), *flags = find_field(front, " gfp_flags=");
    struct trace_event event = {.op = TRACE_MALLOC};
    if (at == NULL || !scan_decimal(&at, &event.size))
        return import_skip(import, "bytes_req is missing");
    if (flags == NULL)
        return import_skip(import, "gfp_flags is missing");
    if (strstr(flags, "__GFP_ZERO") != NULL)
        event.op = TRACE_CALLOC;
    return import_allocation(import, (struct import_when){front->cpu, front->time}, event, address);
}

/* LINE_TAKEN: it is an event, in `front`. */
static enum line_verdict take_front(struct import *import, const char *line, struct front *front)
{
    if (line[0] == '#' || line[0] == '\0' || strncmp(line, "CPU:", 4) == 0)
        return take_comment(import, line);
    return scan_front(line, front)
               ? LINE_TAKEN
               : import_skip(import, "it is no event with a CPU in brackets and a time in seconds");
}

static enum line_verdict take(struct import *import, char *line)
{
    struct front front;
    uint64_t address;
    enum line_verdict verdict = take_front(import, line, &front);
    if (verdict != LINE_TAKEN)
        return verdict;
    bool makes = is_allocation(&front);
    if (!makes && !is(&front, "kfree") && !is(&front, "kmem_cache_free"))
        return LINE_OTHER;
    if (!scan_pointer(&front, &address))
        return import_skip(import, "ptr is missing or no number");
    if (makes)
        return take_allocation(import, &front, address);
    return import_free(import, (struct import_when){front.cpu, front.time}, address);
}

/* ---- pages ----------------------------------------------------------------------------------- */

enum { PAGE_LOG2 = 12, ORDER_MAX = 30 };

static enum line_verdict take_page(struct import *import, char *line)
{
    struct front front;
    uint64_t frame, order;
    enum line_verdict verdict = take_front(import, line, &front);
    if (verdict != LINE_TAKEN)
        return verdict;
    const char *pfn = find_field(&front, " pfn="), *power = find_field(&front, " order=");
    bool makes = is(&front, "mm_page_alloc");
    if (!makes && !is(&front, "mm_page_free"))
        return LINE_OTHER;
    if (pfn == NULL || !scan_number(&pfn, &frame) || frame >> (64 - PAGE_LOG2) != 0)
        return import_skip(import, "pfn is missing or no number of a page");
    if (power == NULL || !scan_decimal(&power, &order) || order > ORDER_MAX)
        return import_skip(import, "order is missing or none from 0 to 30");
    struct import_when when = {front.cpu, front.time};
    struct trace_event event = {.op = TRACE_ALIGNED,
                                .size = UINT64_C(1) << (PAGE_LOG2 + order),
                                .alignment_log2 = (uint32_t)(PAGE_LOG2 + order)};
    return makes ? import_allocation(import, when, event, frame << PAGE_LOG2)
                 : import_free(import, when, frame << PAGE_LOG2);
}

/* The first line may be that of either. */
static bool never_begins(const char *line)
{
    (void)line;
    return false;
}

const struct import_format import_kmem_format = {
    .name = "kmem",
    .description = "the kernel's kmem events",
    .beginning = "'# tracer: nop', or an event",
    .begins = begins,
    .take = take,
};

const struct import_format import_kmem_pages_format = {
    .name = "kmem-pages",
    .description = "the kernel's page events",
    .beginning = "'# tracer: nop', or an event",
    .begins = never_begins,
    .take = take_page,
};
