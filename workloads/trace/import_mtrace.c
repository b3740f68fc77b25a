/*
 * What glibc's mtrace() writes: "@ caller + 0xADDRESS 0xSIZE" for an allocation, "-" for a free,
 * "<" and ">" for the two addresses of a realloc, "!" for one that failed. Neither times nor
 * threads, and one sign for all functions that allocate. free(NULL) is not in it.
 */
#include "workloads/trace/import_source.h"
#include "workloads/trace/scan.h"

static bool is_call(char sign)
{
    return sign != '\0' && strchr("+-<>!", sign) != NULL;
}

static bool begins(const char *line)
{
    return strcmp(line, "= Start") == 0 ||
           (line[0] == '@' && line[1] == ' ' && strstr(line, "] ") != NULL) ||
           (is_call(line[0]) && strncmp(line + 1, " 0x", 3) == 0);
}

/* Past "@ caller ", whose file name may hold anything. */
static const char *find_call(const char *line)
{
    if (line[0] != '@')
        return line;
    const char *last = NULL;
    for (const char *at = line; (at = strstr(at, "] ")) != NULL; at++)
        if (is_call(at[2]) && at[3] == ' ')
            last = at + 2;
    return last != NULL ? last : line;
}

static bool scan_pointer(const char **at, uint64_t *address)
{
    *address = 0;
    return scan_text(at, "(nil)") || scan_hex(at, address);
}

static enum line_verdict take_call(struct import *import, char sign, uint64_t address,
                                   uint64_t size)
{
    const struct import_when nobody = {0};
    switch (sign) {
    case '+':
        return import_allocation(import, nobody,
                                 (struct trace_event){.op = TRACE_MALLOC, .size = size}, address);
    case '-': return import_free(import, nobody, address);
    case '<': return import_resize_begin(import, nobody, address);
    case '>': return import_resize_end(import, nobody, address, size);
    default: /* the realloc of `address` failed */
        if (import_resize_begin(import, nobody, address) == LINE_FAILED)
            return LINE_FAILED;
        return import_resize_end(import, nobody, 0, size > 0 ? size : 1);
    }
}

static enum line_verdict take(struct import *import, char *line)
{
    const char *at = find_call(line);
    char sign = *at;
    uint64_t address, size = 0;
    if (line[0] == '=' || line[0] == '\0')
        return LINE_OTHER;
    if (!is_call(sign) || at[1] != ' ')
        return import_skip(import, "it has no + - < > or ! and an address");
    at += 2;
    if (!scan_pointer(&at, &address))
        return import_skip(import, "its address is no hexadecimal number");
    scan_blanks(&at);
    if (strchr("+>!", sign) != NULL && !scan_hex(&at, &size))
        return import_skip(import, "its size is no hexadecimal number");
    if (!scan_end(&at))
        return import_skip(import, "something follows the call");
    return take_call(import, sign, address, size);
}

const struct import_format import_mtrace_format = {
    .name = "mtrace",
    .description = "what glibc's mtrace() writes",
    .beginning = "'= Start'",
    .lacks = TRACE_LACKS_TIMES | TRACE_LACKS_THREADS | TRACE_LACKS_CALLS,
    .begins = begins,
    .take = take,
};
