/* The text form of a trace, see docs/trace-tools.md: what writing and reading it share. */
#ifndef HEAPMARK_TRACE_TEXT_H
#define HEAPMARK_TRACE_TEXT_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

#define TEXT_FIRST_LINE "heapmark trace text 1"

/* A fact of the header that the events do not tell. */
struct text_fact {
    const char *name;
    size_t offset; /* in struct trace_file_header */
    size_t bytes;  /* 4 or 8 */
    bool is_signed;
};

enum { TEXT_FACTS = 17 };

extern const struct text_fact text_facts[TEXT_FACTS];

/* "malloc"; NULL for no operation. */
const char *text_op(enum trace_op op);

/* A signed fact as the 64 bits of its value. */
uint64_t text_fact_get(const struct text_fact *fact, const struct trace_file_header *header);

/* False when the value does not fit. */
bool text_fact_set(const struct text_fact *fact, struct trace_file_header *header, uint64_t value);

#endif
