#include "workloads/trace/text.h"

#include <string.h>

#define FACT(field, is_signed)                                        \
    {                                                                 \
#field, offsetof(struct trace_file_header, field),            \
            sizeof(((struct trace_file_header *)0)->field), is_signed \
    }

const struct text_fact text_facts[TEXT_FACTS] = {
    FACT(flags, false),        FACT(ticks_hz, false),      FACT(recorded_at, true),
    FACT(failed_calls, false), FACT(null_frees, false),    FACT(unknown_frees, false),
    FACT(lost_frees, false),   FACT(exit_status, true),    FACT(sample, false),
    FACT(stack_depth, false),  FACT(pid, false),           FACT(parent_pid, false),
    FACT(start_ns, false),     FACT(source, false),        FACT(lacks, false),
    FACT(front_events, false), FACT(skipped_lines, false),
};

const char *text_op(enum trace_op op)
{
    static const char *const names[TRACE_OP_COUNT] = {
        [TRACE_MALLOC] = "malloc",   [TRACE_CALLOC] = "calloc", [TRACE_ALIGNED] = "aligned",
        [TRACE_REALLOC] = "realloc", [TRACE_FREE] = "free",     [TRACE_SPAWN] = "spawn",
        [TRACE_JOIN] = "join",
    };
    return op >= TRACE_MALLOC && op < TRACE_OP_COUNT ? names[op] : NULL;
}

uint64_t text_fact_get(const struct text_fact *fact, const struct trace_file_header *header)
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

bool text_fact_set(const struct text_fact *fact, struct trace_file_header *header, uint64_t value)
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
