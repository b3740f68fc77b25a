#include "workloads/trace/import.h"

#include "util/errno_text.h"
#include "workloads/trace/addresses.h"
#include "workloads/trace/import_source.h"
#include "workloads/trace/lines.h"
#include "workloads/trace/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOPELESS_LINES = 1000, /* of which not one could be used: it is something else */
    SHOWN_BYTES = 40,      /* of a line in a message */
};

#define NO_SLOT UINT32_MAX

/* One of the source's threads. */
struct voice {
    uint64_t id;
    uint64_t resized_address; /* between the two steps of a realloc */
    uint32_t resized_slot;    /* NO_SLOT: it was not known */
    bool resizing;
};

struct import {
    const struct import_format *format;
    void *state;
    const char *name;
    char *error;
    size_t error_bytes;
    struct lines lines;
    int fd;
    struct trace_writer *writer; /* opened with the first event */
    char command[TRACE_COMMAND_BYTES_MAX];
    size_t command_bytes;
    struct addresses live;    /* address of the source -> slot */
    struct addresses threads; /* thread of the source -> number of voice */
    struct voice *voices;
    uint32_t voice_count, voice_capacity;
    uint64_t taken, damaged; /* lines */
    uint64_t last_thread;
    uint32_t last_voice;
    bool has_first;
    uint64_t first_time;
    const char *reason; /* why the last line could not be used */
    int failure;
    struct import_result *result;
};

static const struct import_format *const formats[TRACE_SOURCE_COUNT] = {
    [TRACE_SOURCE_TEXT] = &import_text_format,
    [TRACE_SOURCE_MTRACE] = &import_mtrace_format,
    [TRACE_SOURCE_HEAPTRACK] = &import_heaptrack_format,
    [TRACE_SOURCE_LTRACE] = &import_ltrace_format,
    [TRACE_SOURCE_KMEM] = &import_kmem_format,
    [TRACE_SOURCE_KMEM_PAGES] = &import_kmem_pages_format,
};

const char *import_name(enum trace_source source)
{
    return source > TRACE_SOURCE_NONE && source < TRACE_SOURCE_COUNT ? formats[source]->name : NULL;
}

const char *import_description(enum trace_source source)
{
    return import_name(source) != NULL ? formats[source]->description : NULL;
}

enum trace_source import_find(const char *name)
{
    for (int i = TRACE_SOURCE_NONE + 1; i < TRACE_SOURCE_COUNT; i++)
        if (strcmp(name, formats[i]->name) == 0)
            return (enum trace_source)i;
    return TRACE_SOURCE_NONE;
}

/* ---- for the formats ------------------------------------------------------------------------- */

void *import_state(struct import *import)
{
    return import->state;
}

struct trace_file_header *import_facts(struct import *import)
{
    return &import->result->header;
}

const struct trace_rules *import_rules(const struct import *import)
{
    return import->writer != NULL ? trace_writer_rules(import->writer) : NULL;
}

uint64_t import_line(const struct import *import)
{
    return import->lines.number;
}

/* As the recorder's: a part of a command line means something else, so of one that does not fit the program alone. */
void import_command(struct import *import, const char *arguments, size_t bytes)
{
    size_t before = 0; /* the empty word that says so */
    if (bytes > sizeof import->command) {
        before = 1;
        bytes = strnlen(arguments, bytes) + 1;
    }
    if (before + bytes > sizeof import->command)
        return;
    import->command[0] = '\0';
    memcpy(import->command + before, arguments, bytes);
    if (bytes > 0)
        import->command[before + bytes - 1] = '\0';
    import->command_bytes = before + bytes;
}

enum line_verdict import_skip(struct import *import, const char *reason)
{
    import->reason = reason;
    return LINE_SKIPPED;
}

enum line_verdict import_fail(struct import *import, int error)
{
    import->failure = error;
    snprintf(import->error, import->error_bytes, "cannot import '%s': %s", import->name,
             errno_text(-error));
    return LINE_FAILED;
}

static enum line_verdict cannot_write(struct import *import, int error)
{
    import->failure = error;
    snprintf(import->error, import->error_bytes,
             "cannot import '%s': the trace cannot be written: %s", import->name,
             errno_text(-error));
    return LINE_FAILED;
}

void import_lost(struct import *import, uint64_t events)
{
    import->result->lost += events;
}

enum line_verdict import_event(struct import *import, struct trace_event *event)
{
    int error = 0;
    if (import->writer == NULL)
        error = trace_writer_open(&import->writer, import->fd, TRACE_THREADS_MAX, import->command,
                                  import->command_bytes);
    if (error == 0)
        error = trace_writer_add(import->writer, event);
    if (error == -EINVAL)
        return import_skip(import, trace_writer_reason(import->writer));
    return error == 0 ? LINE_TAKEN : cannot_write(import, error);
}

/* ---- threads and times ----------------------------------------------------------------------- */

static int add_voice(struct import *import, uint64_t id, uint32_t *number)
{
    if (import->voice_count == import->voice_capacity) {
        uint32_t capacity = import->voice_capacity ? 2 * import->voice_capacity : 16;
        struct voice *voices = realloc(import->voices, capacity * sizeof *voices);
        if (voices == NULL)
            return -ENOMEM;
        import->voices = voices;
        import->voice_capacity = capacity;
    }
    *number = import->voice_count++;
    import->voices[*number] = (struct voice){.id = id};
    return 0;
}

/* Thread numbers are the addresses here: spread out, since the table takes neighbours together. */
static enum line_verdict find_voice(struct import *import, uint64_t id, uint32_t *number)
{
    uint64_t key = (id + 1) * 256;
    int error = 0;
    if (import->voice_count > 0 && import->last_thread == id) {
        *number = import->last_voice;
        return LINE_TAKEN;
    }
    if (!addresses_take(&import->threads, key, number)) {
        if (import->voice_count == TRACE_THREADS_MAX)
            return import_skip(import, "it is of one thread more than 65535");
        error = add_voice(import, id, number);
    }
    if (error == 0)
        error = addresses_add(&import->threads, key, *number);
    import->last_thread = id;
    import->last_voice = *number;
    return error == 0 ? LINE_TAKEN : import_fail(import, error);
}

static uint64_t trace_time(struct import *import, uint64_t time)
{
    uint64_t now = import->writer != NULL ? trace_writer_rules(import->writer)->time : 0;
    if (import->result->header.lacks & TRACE_LACKS_TIMES)
        return import->has_first ? now + 1 : (import->has_first = true, 0);
    if (!import->has_first)
        import->first_time = time;
    import->has_first = true;
    time = time > import->first_time ? time - import->first_time : 0;
    if (time >= now)
        return time;
    import->result->late_times++;
    return now;
}

static enum line_verdict place(struct import *import, struct import_when when,
                               struct trace_event *event)
{
    enum line_verdict verdict = find_voice(import, when.thread, &event->thread);
    event->time = trace_time(import, when.time);
    return verdict;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* An address is handed out that still lives: its free was missed. */
static enum line_verdict make_room(struct import *import, const struct trace_event *like,
                                   uint64_t address)
{
    struct trace_event event = {.op = TRACE_FREE, .thread = like->thread, .time = like->time};
    if (!addresses_take(&import->live, address, &event.slot))
        return LINE_TAKEN;
    import->result->header.lost_frees++;
    return import_event(import, &event);
}

static enum line_verdict make(struct import *import, struct trace_event *event, uint64_t address)
{
    enum line_verdict verdict = make_room(import, event, address);
    if (verdict == LINE_TAKEN)
        verdict = import_event(import, event);
    if (verdict == LINE_TAKEN && addresses_add(&import->live, address, event->slot) != 0)
        verdict = import_fail(import, -ENOMEM);
    return verdict;
}

enum line_verdict import_allocation(struct import *import, struct import_when when,
                                    struct trace_event event, uint64_t address)
{
    if (address == 0) {
        import->result->header.failed_calls++;
        return LINE_TAKEN;
    }
    enum line_verdict verdict = place(import, when, &event);
    return verdict == LINE_TAKEN ? make(import, &event, address) : verdict;
}

enum line_verdict import_free(struct import *import, struct import_when when, uint64_t address)
{
    struct trace_event event = {.op = TRACE_FREE};
    if (address == 0) {
        import->result->header.null_frees++;
        return LINE_TAKEN;
    }
    enum line_verdict verdict = place(import, when, &event);
    if (verdict != LINE_TAKEN)
        return verdict;
    if (addresses_take(&import->live, address, &event.slot))
        return import_event(import, &event);
    import->result->header.unknown_frees++;
    return LINE_TAKEN;
}

enum line_verdict import_resize_begin(struct import *import, struct import_when when,
                                      uint64_t address)
{
    uint32_t number;
    enum line_verdict verdict = find_voice(import, when.thread, &number);
    if (verdict != LINE_TAKEN)
        return verdict;
    struct voice *voice = &import->voices[number];
    if (voice->resizing)
        return import_skip(import, "a realloc begins before the one before has ended");
    *voice = (struct voice){voice->id, address, NO_SLOT, true};
    if (address != 0)
        addresses_take(&import->live, address, &voice->resized_slot);
    return LINE_TAKEN;
}

/* It failed, so the object lives on; or the free of an address that was handed out anew is lost. */
static enum line_verdict keep(struct import *import, const struct voice *voice,
                              struct trace_event *event)
{
    import->result->header.failed_calls++;
    if (voice->resized_slot == NO_SLOT)
        return LINE_TAKEN;
    enum line_verdict verdict = make_room(import, event, voice->resized_address);
    if (verdict == LINE_TAKEN &&
        addresses_add(&import->live, voice->resized_address, voice->resized_slot) != 0)
        verdict = import_fail(import, -ENOMEM);
    return verdict;
}

static enum line_verdict resize(struct import *import, const struct voice *voice,
                                struct trace_event *event, uint64_t address)
{
    event->slot = voice->resized_slot;
    if (event->size == 0) { /* a free, and if that gave an object, a malloc */
        struct trace_event end = *event;
        end.op = TRACE_FREE;
        enum line_verdict verdict = import_event(import, &end);
        event->op = TRACE_MALLOC;
        return verdict != LINE_TAKEN || address == 0 ? verdict : make(import, event, address);
    }
    event->op = TRACE_REALLOC;
    event->moved = address != voice->resized_address;
    return make(import, event, address);
}

enum line_verdict import_resize_end(struct import *import, struct import_when when,
                                    uint64_t address, uint64_t size)
{
    struct trace_event event = {.op = TRACE_MALLOC, .size = size};
    enum line_verdict verdict = place(import, when, &event);
    if (verdict != LINE_TAKEN)
        return verdict;
    struct voice voice = import->voices[event.thread];
    import->voices[event.thread].resizing = false;
    if (!voice.resizing)
        voice.resized_slot = NO_SLOT;
    if (address == 0 && size > 0)
        return keep(import, &voice, &event);
    if (voice.resized_slot == NO_SLOT)
        return address == 0 ? LINE_TAKEN : make(import, &event, address);
    return resize(import, &voice, &event, address);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int refuse(struct import *import, uint64_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct import *import, uint64_t line, const char *format, ...)
{
    int used = snprintf(import->error, import->error_bytes, "cannot import '%s': line %" PRIu64 " ",
                        import->name, line);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && (size_t)used < import->error_bytes)
        vsnprintf(import->error + used, import->error_bytes - (size_t)used, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* What can be shown of the line: up to the first byte that is not plain text. */
static int shown(const char *line)
{
    int bytes = 0;
    while (bytes < SHOWN_BYTES && line[bytes] >= ' ' && line[bytes] <= '~')
        bytes++;
    return bytes;
}

static int refuse_format(struct import *import)
{
    const char *line = import->lines.text;
    if (memcmp(line, "\x1f\x8b", 2) == 0 || memcmp(line, "\x28\xb5\x2f\xfd", 4) == 0)
        return refuse(import, 1,
                      "shows a compressed file: unpack it first, with zcat or zstdcat, "
                      "as in 'zstdcat FILE | heapmark trace import -o OUT -'");
    return refuse(import, 1,
                  "('%.*s') is not how text, mtrace, heaptrack, ltrace or kmem begins; say with "
                  "--format what it is",
                  shown(line), line);
}

static int choose_format(struct import *import)
{
    for (int i = TRACE_SOURCE_NONE + 1; i < TRACE_SOURCE_COUNT && import->format == NULL; i++)
        if (formats[i]->begins(import->lines.text)) {
            import->format = formats[i];
            import->result->header.source = (uint32_t)i;
            import->result->format = (enum trace_source)i;
        }
    return import->format != NULL ? 0 : refuse_format(import);
}

static int begin_format(struct import *import)
{
    int error = import->format == NULL ? choose_format(import) : 0;
    if (error != 0)
        return error;
    import->result->header.lacks = import->format->lacks;
    import->state = calloc(1, import->format->state_bytes + 1);
    return import->state != NULL ? 0 : (import_fail(import, -ENOMEM), -ENOMEM);
}

/* The line cannot be used. */
static int skip_line(struct import *import, bool is_damaged)
{
    struct import_result *result = import->result;
    const char *line = import->lines.text != NULL ? import->lines.text : "";
    if (import->format->strict)
        return refuse(import, import->lines.number, "('%.*s'): %s", shown(line), line,
                      import->reason);
    import->damaged += is_damaged;
    result->header.skipped_lines++;
    if (result->first_skipped == 0) {
        result->first_skipped = import->lines.number;
        snprintf(result->skip_reason, sizeof result->skip_reason, "%s", import->reason);
    }
    if (import->taken == 0 && is_damaged && import->damaged == HOPELESS_LINES)
        return refuse(import, result->first_skipped, "is not of %s: %s; such files begin with %s",
                      import->format->description, result->skip_reason, import->format->beginning);
    return 0;
}

static int judge(struct import *import, enum line_verdict verdict)
{
    import->taken += verdict == LINE_TAKEN;
    if (verdict == LINE_SKIPPED || verdict == LINE_ASIDE)
        return skip_line(import, verdict == LINE_SKIPPED);
    return verdict == LINE_FAILED ? import->failure : 0;
}

static int take_line(struct import *import)
{
    struct lines *lines = &import->lines;
    int error = import->format == NULL || import->state == NULL ? begin_format(import) : 0;
    if (error != 0)
        return error;
    if (lines->damaged)
        import_skip(import, "it holds a zero byte, or is longer than a MiB");
    else if (lines->unended && !import->format->strict)
        import_skip(import, "the file was cut off in it");
    else
        return judge(import, import->format->take(import, lines->text));
    return skip_line(import, true);
}

static int take_lines(struct import *import)
{
    int more, error = 0;
    while (error == 0 && (more = lines_next(&import->lines)) != 0)
        error = more < 0 ? (import_fail(import, more), more) : take_line(import);
    import->result->lines = import->lines.number;
    if (error != 0)
        return error;
    if (import->state == NULL) {
        snprintf(import->error, import->error_bytes, "cannot import '%s': it is empty",
                 import->name);
        return -EINVAL;
    }
    return import->format->finish != NULL ? judge(import, import->format->finish(import)) : 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Damage is reported; but what is damage for the most part is something else. */
static int check_usable(struct import *import)
{
    const struct import_result *result = import->result;
    if (import->damaged > import->taken)
        return refuse(import, result->first_skipped,
                      "is the first of %" PRIu64 " that are not of %s, with only %" PRIu64
                      " that are: %s; such files begin with %s",
                      import->damaged, import->format->description, import->taken,
                      result->skip_reason, import->format->beginning);
    if (import->writer != NULL && trace_writer_rules(import->writer)->events > 0)
        return 0;
    char why[160] = "record a part in which the program allocates";
    if (result->first_skipped > 0)
        snprintf(why, sizeof why, "line %" PRIu64 ": %s", result->first_skipped,
                 result->skip_reason);
    snprintf(import->error, import->error_bytes,
             "cannot import '%s': its %" PRIu64 " lines tell of no allocation; %s", import->name,
             result->lines, why);
    return -EINVAL;
}

static int finish(struct import *import)
{
    int error = check_usable(import);
    if (error != 0)
        return error;
    error = trace_writer_finish(import->writer, &import->result->header);
    if (error != 0)
        cannot_write(import, error);
    return error;
}

static void release(struct import *import)
{
    if (import->state != NULL && import->format->release != NULL)
        import->format->release(import->state);
    free(import->state);
    if (import->writer != NULL)
        trace_writer_release(import->writer);
    lines_release(&import->lines);
    addresses_release(&import->live);
    addresses_release(&import->threads);
    free(import->voices);
}

int trace_import(FILE *in, const char *name, enum trace_source source, int fd,
                 struct import_result *result, char *error, size_t error_bytes)
{
    struct import import = {.format = formats[source],
                            .name = name,
                            .error = error,
                            .error_bytes = error_bytes,
                            .lines = {.file = in},
                            .fd = fd,
                            .result = result};
    *result = (struct import_result){.format = source,
                                     .header = {.source = source,
                                                .ticks_hz = 1000000000,
                                                .flags = TRACE_STATUS_UNKNOWN}};
    int failure = take_lines(&import);
    if (failure == 0)
        failure = finish(&import);
    release(&import);
    return failure;
}
