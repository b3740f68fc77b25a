/*
 * The kernel's kmem events as tracefs gives them in text (the file `trace` or `trace_pipe`):
 *
 *   task-7  [000] d..1.  12.345678: kmalloc: call_site=f+0x1 ptr=00000000783f4e84 bytes_req=60 ...
 *
 * kmalloc and kmem_cache_alloc make objects of bytes_req, and of zeroes with __GFP_ZERO; kfree and
 * kmem_cache_free end them. What the kernel keeps by CPU it is that counts, so CPUs are the threads
 * here. Pages are what slabs are made of, and are left out. Pointers are hashes, which are as good.
 */
#include "workloads/trace/import_source.h"
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

static enum line_verdict take_comment(struct import *import, const char *line)
{
    const char *at = strstr(line, "[LOST ");
    uint64_t lost;
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

static enum line_verdict take(struct import *import, char *line)
{
    struct front front;
    uint64_t address;
    if (line[0] == '#' || line[0] == '\0' || strncmp(line, "CPU:", 4) == 0)
        return take_comment(import, line);
    if (!scan_front(line, &front))
        return import_skip(import, "it is no event with a CPU in brackets and a time in seconds");
    bool makes = is_allocation(&front);
    if (!makes && !is(&front, "kfree") && !is(&front, "kmem_cache_free"))
        return LINE_OTHER;
    if (!scan_pointer(&front, &address))
        return import_skip(import, "ptr is missing or no number");
    if (makes)
        return take_allocation(import, &front, address);
    return import_free(import, (struct import_when){front.cpu, front.time}, address);
}

const struct import_format import_kmem_format = {
    .name = "kmem",
    .description = "the kernel's kmem events",
    .beginning = "'# tracer: nop', or an event",
    .begins = begins,
    .take = take,
};
