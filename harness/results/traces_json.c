#include "results/traces_json.h"

#include "results/machine.h"
#include "results/noted_file.h"
#include "util/pool.h"
#include "util/say.h"
#include "util/shell.h"
#include "workloads/trace/import.h"
#include "workloads/trace/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char suffix[] = ".hmt";

/* What a trace's front says; its totals are not known there. False where it cannot be read. */
static bool read_front(const char *path, struct trace_file_header *header, const char **command)
{
    struct trace_reader *reader;
    char error[512];
    if (trace_reader_open(&reader, path, error, sizeof error) != 0)
        return false;
    *header = *trace_reader_header(reader);
    const char *words = trace_reader_command(reader);
    bool is_whole = header->command_bytes > 0 && *words != '\0'; /* see docs/trace-format.md */
    *command = is_whole ? shell_command(words, header->command_bytes) : NULL;
    trace_reader_close(reader);
    return true;
}

/* ---- what followed exec() -------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t bytes = strlen(end);
    return length > bytes && memcmp(text + length - bytes, end, bytes) == 0;
}

/*
 * The name of the trace of what a process became, as the recorder gives it: after app.hmt and for
 * process 17 app.17.hmt, then app.17.2.hmt, app.17.3.hmt.
 */
static const char *next_name(const char *path, uint32_t pid)
{
    size_t length = strlen(path);
    if (ends_with(path, length, suffix))
        length -= strlen(suffix);
    const char *process = pool_printf(".%" PRIu32, pid);
    if (ends_with(path, length, process))
        return pool_printf("%.*s.2%s", (int)length, path, suffix);
    size_t digits = 0;
    while (digits < length && path[length - digits - 1] >= '0' && path[length - digits - 1] <= '9')
        digits++;
    size_t stem = length - digits;
    if (digits > 0 && stem > 0 && path[stem - 1] == '.' && ends_with(path, stem - 1, process))
        return pool_printf("%.*s%lu%s", (int)stem, path, strtoul(path + stem, NULL, 10) + 1,
                           suffix);
    return pool_printf("%.*s%s%s", (int)length, path, process, suffix);
}

/* Of `path`, whose header is given, or NULL. A file of that name may be of an older recording. */
static const char *find_successor(const char *path, struct trace_file_header header)
{
    const char *found = NULL, *command;
    while (header.flags & TRACE_REPLACED) {
        struct trace_file_header next;
        path = next_name(path, header.pid);
        if (access(path, R_OK) != 0 || !read_front(path, &next, &command) ||
            next.pid != header.pid || next.recorded_at < header.recorded_at)
            break;
        found = path;
        header = next;
    }
    return found;
}

/* ---- the list -------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(utf8_text(text)) : json_null();
}

static json_t *half_seen(const struct trace_file_header *header, const struct trace_input *input)
{
    if (header->source != TRACE_SOURCE_NONE || (header->flags & TRACE_PARTIAL))
        return json_null();
    return json_integer((json_int_t)(input->unknown_frees + input->lost_frees));
}

static json_t *describe(const struct cell *cell)
{
    struct trace_file_header header = {.flags = TRACE_PARTIAL};
    const char *command = NULL, *successor = NULL;
    if (read_front(cell->trace_path, &header, &command))
        successor = find_successor(cell->trace_path, header);
    return json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "trace", utf8_text(cell->trace),
                     "command", text_or_null(command), "events", (json_int_t)cell->input->events,
                     "sha256", text_or_null(machine_sha256(cell->trace_path)), "half_seen",
                     half_seen(&header, cell->input), "successor", text_or_null(successor),
                     "source", text_or_null(import_name((enum trace_source)header.source)));
}

static bool is_first_of_its_trace(const struct plan *plan, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (plan->cells[i].trace != NULL &&
            strcmp(plan->cells[i].trace, plan->cells[index].trace) == 0)
            return false;
    return true;
}

json_t *traces_json(const struct plan *plan)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if (plan->cells[i].trace != NULL && is_first_of_its_trace(plan, i))
            json_array_append_new(list, describe(&plan->cells[i]));
    return list;
}

/* One that is not noted: a run from before traces were. */
static int check(const json_t *list, const struct cell *cell)
{
    if (noted_file(list, "trace", utf8_text(cell->trace), cell->trace_path) != FILE_CHANGED)
        return 0;
    say_error("trace '%s' has changed since the run began; begin a new run", cell->trace_path);
    return -EINVAL;
}

int traces_json_check(const json_t *list, const struct plan *plan)
{
    int result = 0;
    for (uint32_t i = 0; i < plan->cell_count && result == 0; i++)
        if (plan->cells[i].trace != NULL && is_first_of_its_trace(plan, i))
            result = check(list, &plan->cells[i]);
    return result;
}
