#include "workloads/trace/info.h"

#include "workloads/trace/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NO_SITE UINT32_MAX

/* What a slot's object has beyond what the rules keep. */
struct object {
    uint64_t birth; /* ticks */
    uint32_t site;
};

struct survey {
    struct trace_info *info;
    struct trace_details *details; /* NULL: not wanted */
    struct object *objects;        /* by slot; grows with the slots that were really used */
    uint32_t capacity;
};

uint64_t trace_info_size_quantile(const struct trace_info *info, double share)
{
    uint64_t size = trace_histogram_quantile(&info->sizes, share);
    return size < info->size_largest ? size : info->size_largest;
}

static int reach(struct survey *s, uint32_t slot)
{
    if (slot < s->capacity)
        return 0;
    uint64_t capacity = s->capacity ? s->capacity * UINT64_C(2) : 1024;
    while (capacity <= slot)
        capacity *= 2;
    struct object *objects = realloc(s->objects, capacity * sizeof *objects);
    if (objects == NULL)
        return -ENOMEM;
    s->objects = objects;
    s->capacity = (uint32_t)(capacity < UINT32_MAX ? capacity : UINT32_MAX);
    return 0;
}

static uint64_t ticks_to_ns(const struct trace_info *info, uint64_t ticks)
{
    return trace_scaled_time(ticks, 1e9 / (double)info->header.ticks_hz);
}

/* ---- one event ------------------------------------------------------------------------------- */

static void count_end(struct survey *s, const struct trace_event *event)
{
    struct trace_info *info = s->info;
    const struct object *object = &s->objects[event->slot];
    trace_histogram_add(&info->lifetimes, ticks_to_ns(info, event->time - object->birth),
                        event->ended_size);
    info->foreign_ends += event->ended_owner != event->thread;
    if (object->site != NO_SITE) {
        struct trace_site *site = &s->details->sites.sites[object->site];
        site->live_objects--;
        site->live_bytes -= event->ended_size;
    }
}

static int count_site(struct survey *s, const struct trace_event *event, uint32_t *site)
{
    *site = NO_SITE;
    if (s->details == NULL || event->stack_depth == 0)
        return 0;
    int error = trace_sites_find(&s->details->sites, event->stack, event->stack_depth, site);
    if (error != 0)
        return error;
    struct trace_site *found = &s->details->sites.sites[*site];
    found->objects++;
    found->bytes += event->size;
    found->live_objects++;
    found->live_bytes += event->size;
    return 0;
}

static int count_allocation(struct survey *s, const struct trace_event *event)
{
    struct trace_info *info = s->info;
    uint32_t site;
    if (reach(s, event->slot) != 0 || count_site(s, event, &site) != 0)
        return -ENOMEM;
    s->objects[event->slot] = (struct object){event->time, site};
    trace_histogram_add(&info->sizes, event->size, event->size);
    info->allocated_bytes += event->size;
    if (event->size > info->size_largest)
        info->size_largest = event->size;
    return 0;
}

static void count_thread(struct survey *s, const struct trace_event *event)
{
    if (s->details == NULL)
        return;
    struct trace_thread_info *thread = &s->details->threads[event->thread];
    if (thread->events++ == 0)
        thread->first_time = event->time;
    thread->last_time = event->time;
    if (trace_allocates(event->op)) {
        thread->allocations++;
        thread->bytes += event->size;
    }
    if (trace_ends(event->op)) {
        thread->ends++;
        thread->foreign_ends += event->ended_owner != event->thread;
    }
}

/* A realloc ends one object and makes another one in the same slot. */
static int count(struct survey *s, const struct trace_event *event, const struct trace_rules *rules)
{
    struct trace_info *info = s->info;
    info->ops[event->op]++;
    info->moved += event->moved;
    count_thread(s, event);
    if (trace_ends(event->op))
        count_end(s, event);
    if (trace_allocates(event->op) && count_allocation(s, event) != 0)
        return -ENOMEM;
    curve_add(&info->live, event->time, event->time, rules->live_bytes);
    if (rules->live_bytes > info->header.live_bytes_peak) {
        info->header.live_bytes_peak = rules->live_bytes;
        info->peak_time = event->time;
        info->peak_objects = rules->live_objects;
    }
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void count_kept(struct survey *s, const struct trace_rules *rules)
{
    s->info->live_objects_end = rules->live_objects;
    for (uint32_t i = 0; i < rules->slot_count; i++) {
        const struct trace_slot *slot = &rules->slots[i];
        if (!slot->live)
            continue;
        trace_histogram_add(&s->info->kept, slot->size, slot->size);
        if (s->details == NULL)
            continue;
        s->details->threads[slot->owner].kept_objects++;
        s->details->threads[slot->owner].kept_bytes += slot->size;
    }
}

static int begin(struct survey *s, struct trace_reader *reader)
{
    struct trace_info *info = s->info;
    memset(info, 0, sizeof *info);
    info->header = *trace_reader_header(reader);
    info->header.live_bytes_peak = 0; /* to find when it was; the reader checks the header's */
    memcpy(info->command, trace_reader_command(reader), info->header.command_bytes);
    curve_begin(&info->live);
    if (s->details == NULL)
        return 0;
    s->details->threads = calloc(info->header.threads, sizeof *s->details->threads);
    return s->details->threads != NULL ? 0 : -ENOMEM;
}

static int survey(struct survey *s, struct trace_reader *reader, char *error, size_t error_bytes)
{
    struct trace_event event;
    enum trace_next next = TRACE_END;
    const struct trace_rules *rules = trace_reader_rules(reader);
    int result = begin(s, reader);
    while (result == 0 && (next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        result = count(s, &event, rules);
    if (next == TRACE_ERROR) {
        snprintf(error, error_bytes, "%s", trace_reader_error(reader));
        return -EINVAL;
    }
    if (result != 0)
        return result;
    s->info->header = *trace_reader_header(reader); /* a recorded trace's totals are known now */
    count_kept(s, rules);
    if (s->details != NULL)
        trace_sites_sort(&s->details->sites);
    return 0;
}

int trace_info_read_details(struct trace_info *info, struct trace_details *details,
                            const char *path, char *error, size_t error_bytes)
{
    struct survey s = {.info = info, .details = details};
    struct trace_reader *reader;
    int result = trace_reader_open(&reader, path, error, error_bytes);
    if (result != 0)
        return result;
    result = survey(&s, reader, error, error_bytes);
    if (result == -ENOMEM)
        snprintf(error, error_bytes, "'%s' has more live objects than there is memory for", path);
    trace_reader_close(reader);
    free(s.objects);
    struct stat file;
    info->file_bytes = stat(path, &file) == 0 ? (uint64_t)file.st_size : 0;
    return result;
}

int trace_info_read(struct trace_info *info, const char *path, char *error, size_t error_bytes)
{
    return trace_info_read_details(info, NULL, path, error, error_bytes);
}

void trace_details_release(struct trace_details *details)
{
    free(details->threads);
    trace_sites_release(&details->sites);
    *details = (struct trace_details){0};
}
