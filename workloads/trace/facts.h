/*
 * What a trace's header says beyond its events, fact by fact: the names are those of the text form,
 * and the limits those that everything which writes traces keeps to.
 */
#ifndef HEAPMARK_TRACE_FACTS_H
#define HEAPMARK_TRACE_FACTS_H

#include "workloads/trace/format.h"

#include <stdbool.h>

struct trace_fact {
    const char *name;
    size_t offset; /* in struct trace_file_header */
    size_t bytes;  /* 4 or 8 */
    bool is_signed;
    uint64_t max; /* UINT64_MAX: any value; else from 0 on */
};

enum { TRACE_FACTS = 18 };

extern const struct trace_fact trace_facts[TRACE_FACTS];

/* A signed fact as the 64 bits of its value. */
uint64_t trace_fact_get(const struct trace_fact *fact, const struct trace_file_header *header);

/* False when the value does not fit into the header. */
bool trace_fact_set(const struct trace_fact *fact, struct trace_file_header *header,
                    uint64_t value);

/* What is wrong with a header: where, and a sentence that says what was expected. */
struct trace_fault {
    size_t offset;
    char text[160];
};

/* Whether the value is one that no trace has. Then *fault says so. */
bool trace_fact_is_wrong(const struct trace_fact *fact, const struct trace_file_header *header,
                         struct trace_fault *fault);

/* The same of what facts have to do with each other, and with the number of events. */
bool trace_slack_is_wrong(const struct trace_file_header *header, struct trace_fault *fault);
bool trace_front_is_wrong(const struct trace_file_header *header, struct trace_fault *fault);

#endif
