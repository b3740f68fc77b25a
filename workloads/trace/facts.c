#include "workloads/trace/facts.h"

#include <inttypes.h>
#include <stdio.h>

#define ANY UINT64_MAX

#define FACT(field, is_signed, max)                                        \
    {                                                                      \
#field, offsetof(struct trace_file_header, field),                 \
            sizeof(((struct trace_file_header *)0)->field), is_signed, max \
    }

enum {
    SLACKS_A_SECOND = 1000, /* clocks that disagree by a millisecond are none to go by */
};

const struct trace_fact trace_facts[TRACE_FACTS] = {
    FACT(flags, false, TRACE_FLAGS_ALL),
    FACT(ticks_hz, false, ANY),
    FACT(recorded_at, true, ANY),
    FACT(failed_calls, false, ANY),
    FACT(null_frees, false, ANY),
    FACT(unknown_frees, false, ANY),
    FACT(lost_frees, false, ANY),
    FACT(exit_status, true, UINT16_MAX),
    FACT(sample, false, TRACE_SAMPLE_MAX),
    FACT(stack_depth, false, TRACE_STACK_MAX),
    FACT(pid, false, ANY),
    FACT(parent_pid, false, ANY),
    FACT(start_ns, false, ANY),
    FACT(slack_ticks, false, ANY),
    FACT(source, false, TRACE_SOURCE_COUNT - 1),
    FACT(lacks, false, TRACE_LACKS_ALL),
    FACT(front_events, false, ANY),
    FACT(skipped_lines, false, ANY),
};

uint64_t trace_fact_get(const struct trace_fact *fact, const struct trace_file_header *header)
{
    const char *at = (const char *)header + fact->offset;
    uint64_t wide;
    uint32_t narrow;
    if (fact->bytes == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return fact->is_signed ? (uint64_t)(int64_t)(int32_t)narrow : narrow;
}

bool trace_fact_set(const struct trace_fact *fact, struct trace_file_header *header, uint64_t value)
{
    char *at = (char *)header + fact->offset;
    uint32_t narrow = (uint32_t)value;
    bool fits = fact->bytes == sizeof value ||
                (fact->is_signed ? (int64_t)value == (int32_t)narrow : value == narrow);
    if (!fits)
        return false;
    if (fact->bytes == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
    return true;
}

bool trace_fact_is_wrong(const struct trace_fact *fact, const struct trace_file_header *header,
                         struct trace_fault *fault)
{
    uint64_t value = trace_fact_get(fact, header);
    if (value <= fact->max)
        return false;
    fault->offset = fact->offset;
    bool is_negative = fact->is_signed && value > INT64_MAX;
    snprintf(fault->text, sizeof fault->text,
             "%s is %s%" PRIu64 ", and 0 to %" PRIu64 " was expected", fact->name,
             is_negative ? "-" : "", is_negative ? -value : value, fact->max);
    return true;
}

bool trace_slack_is_wrong(const struct trace_file_header *header, struct trace_fault *fault)
{
    uint64_t max = header->ticks_hz / SLACKS_A_SECOND;
    if (header->slack_ticks <= max)
        return false;
    fault->offset = offsetof(struct trace_file_header, slack_ticks);
    snprintf(fault->text, sizeof fault->text,
             "slack_ticks is %" PRIu64 ", and at most a millisecond, %" PRIu64 ", was expected",
             header->slack_ticks, max);
    return true;
}

bool trace_front_is_wrong(const struct trace_file_header *header, struct trace_fault *fault)
{
    if (header->front_events <= header->events)
        return false;
    fault->offset = offsetof(struct trace_file_header, front_events);
    snprintf(fault->text, sizeof fault->text,
             "front_events is %" PRIu64 ", and at most the number of events, %" PRIu64
             ", was expected",
             header->front_events, header->events);
    return true;
}
