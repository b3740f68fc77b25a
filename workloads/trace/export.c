#include "workloads/trace/export.h"

#include "util/errno_text.h"
#include "workloads/trace/facts.h"
#include "workloads/trace/reader.h"
#include "workloads/trace/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef void write_event(FILE *out, const struct trace_event *event, double ns_per_tick);

/* ---- text ------------------------------------------------------------------------------------ */

static void write_argument(FILE *out, const char *argument)
{
    fputc(' ', out);
    if (*argument == '\0')
        fputc('%', out);
    for (; *argument != '\0'; argument++)
        if (*argument > ' ' && *argument <= '~' && *argument != '%')
            fputc(*argument, out);
        else
            fprintf(out, "%%%02x", (unsigned char)*argument);
}

static void write_text_begin(FILE *out, struct trace_reader *reader)
{
    const struct trace_file_header *header = trace_reader_header(reader);
    const char *argument = trace_reader_command(reader), *end = argument + header->command_bytes;
    fprintf(out, "%s\n", TEXT_FIRST_LINE);
    if (header->command_bytes > 0) {
        fprintf(out, "command");
        for (; argument < end; argument += strlen(argument) + 1)
            write_argument(out, argument);
        fprintf(out, "\n");
    }
    fprintf(out, "fact ticks_hz %" PRIu64 "\n", header->ticks_hz);
}

/* The other facts stand at the end: those of a recorded trace are known only there. */
static void write_text_end(FILE *out, struct trace_reader *reader)
{
    struct trace_file_header header = *trace_reader_header(reader);
    header.flags &= ~(uint32_t)TRACE_RECORDED; /* how it is stored, not what it holds */
    for (int i = 0; i < TRACE_FACTS; i++) {
        uint64_t value = trace_fact_get(&trace_facts[i], &header);
        if (trace_facts[i].is_signed)
            fprintf(out, "fact %s %" PRId64 "\n", trace_facts[i].name, (int64_t)value);
        else
            fprintf(out, "fact %s %" PRIu64 "\n", trace_facts[i].name, value);
    }
    fprintf(out, "end %" PRIu64 "\n", header.events);
}

static void write_text_event(FILE *out, const struct trace_event *event, double ns_per_tick)
{
    (void)ns_per_tick;
    fprintf(out, "%" PRIu64 " %" PRIu32 " %s", event->time, event->thread, text_op(event->op));
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        fprintf(out, " %" PRIu32, event->other);
    if (trace_ends(event->op))
        fprintf(out, " %" PRIu64, event->ended_object + 1);
    if (trace_allocates(event->op))
        fprintf(out, " %" PRIu64 " %" PRIu64, event->object + 1, event->size);
    if (event->op == TRACE_ALIGNED)
        fprintf(out, " %" PRIu64, UINT64_C(1) << event->alignment_log2);
    if (event->moved)
        fprintf(out, " moved");
    if (event->on_new_cpu)
        fprintf(out, " cpu=%" PRIu32 "/%" PRIu32, event->cpu, event->node);
    for (uint32_t i = 0; i < event->stack_depth; i++)
        fprintf(out, "%s0x%" PRIx64, i == 0 ? " stack=" : ",", event->stack[i]);
    fputc('\n', out);
}

/* ---- CPUs ----------------------------------------------------------------------------------- */

/* A trace tells a thread's CPU where it changes; a row of a table tells its own. */
struct place {
    bool known;
    uint32_t cpu, node;
};

struct places {
    struct place *of; /* by thread */
    uint32_t count;
};

static int reach(struct places *places, uint32_t thread)
{
    if (thread < places->count)
        return 0;
    uint32_t count = thread < UINT32_MAX / 2 ? 2 * thread + 16 : UINT32_MAX;
    struct place *of = realloc(places->of, count * sizeof *of);
    if (of == NULL)
        return -ENOMEM;
    memset(of + places->count, 0, (count - places->count) * sizeof *of);
    *places = (struct places){of, count};
    return 0;
}

static int carry_cpu(struct places *places, struct trace_event *event)
{
    if (reach(places, event->thread) != 0)
        return -ENOMEM;
    struct place *place = &places->of[event->thread];
    if (event->on_new_cpu)
        *place = (struct place){true, event->cpu, event->node};
    event->on_new_cpu = place->known;
    event->cpu = place->cpu;
    event->node = place->node;
    return 0;
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void write_csv_begin(FILE *out)
{
    fprintf(out, "time_ns,thread,op,object,size_bytes,alignment_bytes,ended_object,ended_bytes,"
                 "ended_thread,moved,other_thread,cpu,node,stack\r\n");
}

static void write_csv_event(FILE *out, const struct trace_event *event, double ns_per_tick)
{
    fprintf(out, "%.0f,%" PRIu32 ",%s,", (double)event->time * ns_per_tick, event->thread,
            text_op(event->op));
    if (trace_allocates(event->op))
        fprintf(out, "%" PRIu64 ",%" PRIu64, event->object + 1, event->size);
    else
        fputc(',', out);
    fputc(',', out);
    if (event->op == TRACE_ALIGNED)
        fprintf(out, "%" PRIu64, UINT64_C(1) << event->alignment_log2);
    if (trace_ends(event->op))
        fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu32, event->ended_object + 1,
                event->ended_size, event->ended_owner);
    else
        fputs(",,,", out);
    fputs(event->op != TRACE_REALLOC ? "," : event->moved ? ",1" : ",0", out);
    fputc(',', out);
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        fprintf(out, "%" PRIu32, event->other);
    if (event->on_new_cpu)
        fprintf(out, ",%" PRIu32 ",%" PRIu32 ",", event->cpu, event->node);
    else
        fputs(",,,", out);
    for (uint32_t i = 0; i < event->stack_depth; i++)
        fprintf(out, "%s0x%" PRIx64, i == 0 ? "" : " ", event->stack[i]);
    fputs("\r\n", out);
}

/* ---- both ------------------------------------------------------------------------------------ */

static int write_events(struct trace_reader *reader, enum export_format format, FILE *out,
                        char *error, size_t error_bytes)
{
    write_event *write = format == EXPORT_TEXT ? write_text_event : write_csv_event;
    struct places places = {0};
    struct trace_event event;
    enum trace_next next;
    int result = 0;
    double ns_per_tick = 1e9 / (double)trace_reader_header(reader)->ticks_hz;
    while (!ferror(out) && result == 0 &&
           (next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        if (format == EXPORT_CSV)
            result = carry_cpu(&places, &event);
        write(out, &event, ns_per_tick);
    }
    free(places.of);
    if (result != 0)
        snprintf(error, error_bytes, "there is not enough memory for the trace's threads");
    if (result != 0 || ferror(out) || next == TRACE_END)
        return result;
    snprintf(error, error_bytes, "%s", trace_reader_error(reader));
    return -EINVAL;
}

int trace_export(const char *path, enum export_format format, FILE *out, char *error,
                 size_t error_bytes)
{
    struct trace_reader *reader;
    int result = trace_reader_open(&reader, path, error, error_bytes);
    if (result != 0)
        return result;
    if (format == EXPORT_TEXT)
        write_text_begin(out, reader);
    else
        write_csv_begin(out);
    result = write_events(reader, format, out, error, error_bytes);
    if (result == 0 && format == EXPORT_TEXT)
        write_text_end(out, reader);
    trace_reader_close(reader);
    if (result == 0 && (fflush(out) != 0 || ferror(out))) {
        result = errno != 0 ? -errno : -EIO;
        snprintf(error, error_bytes, "cannot write what '%s' holds: %s", path, errno_text(-result));
    }
    return result;
}
