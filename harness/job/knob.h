/* The values that a knob takes: what they look like, and whether a given one is among them. */
#ifndef HEAPMARK_JOB_KNOB_H
#define HEAPMARK_JOB_KNOB_H

#include "include/allocator.h"

#include <stdbool.h>

/* The knob of that name, or what stands for any other ("*"), or NULL. Thread-safe. */
const struct allocator_knob *knob_find(const struct allocator *allocator, const char *name);

/* Whether the allocator would take `value` for it, as far as the descriptor knows. Thread-safe. */
bool knob_takes(const struct allocator_knob *knob, const char *value);

/* "1..64", "size 4m..", "auto|rseq|thread", "decimal|yes|no", "text": for lists. From the pool. */
const char *knob_values(const struct allocator_knob *knob);

/* "a whole number from 1 to 64", "one of auto, rseq, thread": for messages. From the pool. */
const char *knob_expects(const struct allocator_knob *knob);

#endif
