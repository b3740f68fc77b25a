/*
 * The text form of a trace, which `trace export` writes and people can; docs/trace-tools.md tells
 * it in full. One line an event:
 *
 *   TIME THREAD malloc ID SIZE
 *
 * Every line must be right: what people write by hand has mistakes, and they want to know of them.
 */
#include "workloads/trace/addresses.h"
#include "workloads/trace/facts.h"
#include "workloads/trace/import_source.h"
#include "workloads/trace/scan.h"
#include "workloads/trace/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct text {
    struct addresses live; /* ID -> slot */
    uint64_t stack[TRACE_STACK_MAX];
    uint64_t fact_lines[TRACE_FACTS]; /* where each fact stood last; 0: nowhere */
    char reason[256];
    bool begun, ended;
};

/* Numbers that follow one another stand apart in the table, which takes neighbours together. */
static uint64_t key_of(uint64_t id)
{
    return id << 8 | id >> 56;
}

static bool begins(const char *line)
{
    return strncmp(line, "heapmark trace text ", 20) == 0;
}

/* Blanks and tabs set fields apart. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool scan_blank(const char **at)
{
    if (!is_blank(**at))
        return false;
    scan_blanks(at);
    return true;
}

/* A word at the front of a line, with what sets it apart. */
static bool scan_word(const char **at, const char *word)
{
    const char *p = *at;
    if (!scan_text(&p, word) || !scan_blank(&p))
        return false;
    *at = p;
    return true;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static enum line_verdict take_value(struct import *import, int which, const char *at)
{
    struct trace_file_header *facts = import_facts(import);
    struct text *text = import_state(import);
    struct trace_fault fault;
    uint64_t value;
    bool negative = trace_facts[which].is_signed && scan_text(&at, "-");
    uint64_t before = trace_fact_get(&trace_facts[which], facts);
    if (!scan_number(&at, &value) || !scan_end(&at) || (negative && value > INT64_MAX) ||
        !trace_fact_set(&trace_facts[which], facts, negative ? -value : value))
        return import_skip(import, "the fact's value is no number, or too large");
    if (text->fact_lines[which] != 0 && trace_fact_get(&trace_facts[which], facts) != before)
        return import_skip(import, "a line before tells another value of this fact");
    text->fact_lines[which] = import_line(import);
    if (facts->ticks_hz == 0)
        return import_skip(import, "ticks_hz is 0");
    if (!trace_fact_is_wrong(&trace_facts[which], facts, &fault))
        return LINE_OTHER;
    snprintf(text->reason, sizeof text->reason, "%s", fault.text);
    return import_skip(import, text->reason);
}

static enum line_verdict take_fact(struct import *import, const char *at)
{
    for (int i = 0; i < TRACE_FACTS; i++) {
        const char *p = at;
        if (scan_word(&p, trace_facts[i].name))
            return take_value(import, i, p);
    }
    return import_skip(import, "no such fact: a name of docs/trace-tools.md was expected");
}

/* What facts have to do with each other is known at the end: they come in any order. */
static enum line_verdict check_facts(struct import *import, uint64_t events)
{
    struct text *text = import_state(import);
    struct trace_file_header facts = *import_facts(import);
    struct trace_fault fault;
    facts.events = events;
    if (!trace_slack_is_wrong(&facts, &fault) && !trace_front_is_wrong(&facts, &fault))
        return LINE_OTHER;
    uint64_t line = 0;
    for (int i = 0; i < TRACE_FACTS; i++)
        if (trace_facts[i].offset == fault.offset)
            line = text->fact_lines[i];
    snprintf(text->reason, sizeof text->reason, "in line %" PRIu64 ", %s", line, fault.text);
    return import_skip(import, text->reason);
}

/* "%20" is a blank; a "%" alone is an empty argument. In place: it only gets shorter. */
static bool decode_argument(char **from, char **to)
{
    char *p = *from, *out = *to;
    if (p[0] == '%' && (is_blank(p[1]) || p[1] == '\0'))
        p++;
    for (; !is_blank(*p) && *p != '\0'; p++) {
        int c = (unsigned char)*p;
        if (c == '%') {
            if (scan_digit(p[1]) > 15 || scan_digit(p[2]) > 15)
                return false;
            c = scan_digit(p[1]) * 16 + scan_digit(p[2]);
            p += 2;
            if (c == 0)
                return false;
        }
        *out++ = (char)c;
    }
    *from = p;
    *to = out;
    return true;
}

static enum line_verdict take_command(struct import *import, char *at)
{
    char *from = at, *to = at;
    if (import_rules(import) != NULL)
        return import_skip(import, "the command stands in front of the events");
    for (;;) {
        if (!decode_argument(&from, &to))
            return import_skip(import, "behind each % stand two hexadecimal digits, not 00");
        from += strspn(from, " \t"); /* before the argument's end is written, maybe over them */
        bool more = *from != '\0';
        *to++ = '\0';
        if (!more)
            break;
    }
    import_command(import, at, (size_t)(to - at));
    return LINE_OTHER;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* "=" is the time of the event before, "+5" five ticks later. */
static bool scan_when(const struct import *import, const char **at, uint64_t *time)
{
    uint64_t now = import_rules(import) != NULL ? import_rules(import)->time : 0;
    *time = now;
    if (scan_text(at, "="))
        return true;
    if (!scan_text(at, "+"))
        return scan_number(at, time);
    return scan_number(at, time) && !__builtin_add_overflow(*time, now, time);
}

static bool scan_32(const char **at, uint32_t *value)
{
    const char *p = *at;
    uint64_t wide;
    if (!scan_number(&p, &wide) || wide > UINT32_MAX)
        return false;
    *at = p;
    *value = (uint32_t)wide;
    return true;
}

static enum trace_op scan_op(const char **at)
{
    for (int op = TRACE_MALLOC; op < TRACE_OP_COUNT; op++) {
        const char *p = *at;
        if (scan_text(&p, text_op((enum trace_op)op)) && is_blank(*p)) {
            *at = p;
            return (enum trace_op)op;
        }
    }
    return (enum trace_op)0;
}

/* " 7" */
static bool scan_argument(const char **at, uint64_t *value)
{
    return scan_blank(at) && scan_number(at, value);
}

static bool scan_alignment(const char **at, uint32_t *log2)
{
    uint64_t alignment;
    if (!scan_argument(at, &alignment) || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return false;
    *log2 = (uint32_t)__builtin_ctzll(alignment);
    return true;
}

static const char *scan_stack(struct text *text, const char **at, struct trace_event *event)
{
    event->stack = text->stack;
    do {
        if (event->stack_depth == TRACE_STACK_MAX)
            return "a stack of at most 62 addresses was expected";
        if (!scan_number(at, &text->stack[event->stack_depth++]))
            return "addresses were expected behind stack=, with commas between them";
    } while (scan_text(at, ","));
    return NULL;
}

_Static_assert(TRACE_STACK_MAX == 62, "as it is told");

static const char *scan_cpu(const char **at, struct trace_event *event)
{
    event->on_new_cpu = true;
    return scan_32(at, &event->cpu) && scan_text(at, "/") && scan_32(at, &event->node)
               ? NULL
               : "cpu=CPU/NODE was expected, each a number to 4294967295";
}

/* " moved", " cpu=1/0", " stack=0x1,0x2". What is wrong with them, or NULL. */
static const char *scan_extra(struct text *text, const char **at, struct trace_event *event)
{
    static const char unknown[] =
        "behind the event may stand moved (of a realloc), cpu=CPU/NODE and stack=ADDRESS,...";
    const char *reason = NULL;
    while (reason == NULL && !scan_end(at)) {
        if (scan_text(at, "moved") && event->op == TRACE_REALLOC)
            event->moved = true;
        else if (scan_text(at, "cpu="))
            reason = scan_cpu(at, event);
        else if (trace_allocates(event->op) && event->stack_depth == 0 && scan_text(at, "stack="))
            reason = scan_stack(text, at, event);
        else
            reason = unknown;
        if (reason == NULL && !is_blank(**at) && **at != '\0')
            reason = unknown;
    }
    return reason;
}

static const char *scan_rest(struct text *text, const char **at, struct trace_event *event,
                             uint64_t *id, uint64_t *new_id)
{
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN) {
        if (!scan_blank(at) || !scan_32(at, &event->other))
            return "the number of the other thread was expected";
    } else if (!scan_argument(at, id)) {
        return "the object's ID was expected, a number";
    }
    if (event->op == TRACE_REALLOC && !scan_argument(at, new_id))
        return "the IDs of the old and of the new object were expected";
    if (trace_allocates(event->op) && !scan_argument(at, &event->size))
        return "a size in bytes was expected";
    if (event->op == TRACE_ALIGNED && !scan_alignment(at, &event->alignment_log2))
        return "an alignment was expected, a power of 2";
    return scan_extra(text, at, event);
}

/* Finds the object that ends and makes room for the one that begins. */
static const char *resolve(struct text *text, struct trace_event *event, uint64_t id,
                           uint64_t new_id)
{
    if (event->op == TRACE_SPAWN || event->op == TRACE_JOIN)
        return NULL;
    if (id == 0 || new_id == 0)
        return "0 is no ID: objects count from 1";
    if (trace_ends(event->op) && !addresses_take(&text->live, key_of(id), &event->slot))
        return "no object of that ID lives: it was freed, or never allocated";
    if (trace_allocates(event->op) && addresses_has(&text->live, key_of(new_id)))
        return "an object of that ID lives already";
    return NULL;
}

static enum line_verdict take_event(struct import *import, const char *at)
{
    struct text *text = import_state(import);
    struct trace_event event = {0};
    uint64_t id = 0, new_id = 0;
    if (!scan_when(import, &at, &event.time) || !scan_blank(&at))
        return import_skip(import, "a time was expected: a number of ticks, +TICKS or =");
    if (!scan_32(&at, &event.thread) || !scan_blank(&at))
        return import_skip(import, "the number of a thread was expected");
    event.op = scan_op(&at);
    if (event.op == 0)
        return import_skip(import,
                           "malloc, calloc, aligned, realloc, free, spawn or join was expected");
    const char *reason = scan_rest(text, &at, &event, &id, &new_id);
    if (event.op != TRACE_REALLOC)
        new_id = id;
    if (reason == NULL)
        reason = resolve(text, &event, id, new_id);
    if (reason != NULL)
        return import_skip(import, reason);
    enum line_verdict verdict = import_event(import, &event);
    if (verdict == LINE_TAKEN && trace_allocates(event.op) &&
        addresses_add(&text->live, key_of(new_id), event.slot) != 0)
        return import_fail(import, -ENOMEM);
    return verdict;
}

static enum line_verdict take_end(struct import *import, const char *at)
{
    struct text *text = import_state(import);
    uint64_t events, found = import_rules(import) != NULL ? import_rules(import)->events : 0;
    text->ended = true;
    if (scan_end(&at) || (scan_decimal(&at, &events) && scan_end(&at) && events == found))
        return check_facts(import, found);
    return import_skip(import, "the number of events is another one: lines are missing");
}

static enum line_verdict take(struct import *import, char *line)
{
    struct text *text = import_state(import);
    const char *at = line;
    if (!text->begun) {
        text->begun = true;
        return strcmp(line, TEXT_FIRST_LINE) == 0
                   ? LINE_OTHER
                   : import_skip(import, "the first line was expected to be '" TEXT_FIRST_LINE "'");
    }
    scan_blanks(&at);
    if (*at == '\0' || *at == '#')
        return LINE_OTHER;
    if (text->ended)
        return import_skip(import, "something follows the line 'end'");
    if (scan_word(&at, "fact"))
        return take_fact(import, at);
    if (scan_word(&at, "command"))
        return take_command(import, line + (at - line));
    if (scan_text(&at, "end"))
        return take_end(import, at);
    return take_event(import, at);
}

static enum line_verdict finish(struct import *import)
{
    struct text *text = import_state(import);
    if (!text->ended)
        return import_skip(import, "the line 'end' is missing behind it: the file was cut off, or "
                                   "its writer forgot it");
    return LINE_OTHER;
}

static void release(void *state)
{
    addresses_release(&((struct text *)state)->live);
}

const struct import_format import_text_format = {
    .name = "text",
    .description = "the text form of a trace",
    .beginning = "'" TEXT_FIRST_LINE "'",
    .strict = true,
    .state_bytes = sizeof(struct text),
    .begins = begins,
    .take = take,
    .finish = finish,
    .release = release,
};
