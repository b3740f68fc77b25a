#include "workloads/trace/text.h"

const char *text_op(enum trace_op op)
{
    static const char *const names[TRACE_OP_COUNT] = {
        [TRACE_MALLOC] = "malloc",   [TRACE_CALLOC] = "calloc", [TRACE_ALIGNED] = "aligned",
        [TRACE_REALLOC] = "realloc", [TRACE_FREE] = "free",     [TRACE_SPAWN] = "spawn",
        [TRACE_JOIN] = "join",
    };
    return op >= TRACE_MALLOC && op < TRACE_OP_COUNT ? names[op] : NULL;
}
