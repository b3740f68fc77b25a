/* The text form of a trace, see docs/trace-tools.md: what writing and reading it share. */
#ifndef HEAPMARK_TRACE_TEXT_H
#define HEAPMARK_TRACE_TEXT_H

#include "workloads/trace/event.h"

#define TEXT_FIRST_LINE "heapmark trace text 1"

/* "malloc"; NULL for no operation. */
const char *text_op(enum trace_op op);

#endif
