/*
 * One row of trials.csv. The struct, the header and the rows come from record.def. A figure that
 * was not set is empty in the CSV. Not thread-safe.
 */
#ifndef HEAPMARK_RESULTS_RECORD_H
#define HEAPMARK_RESULTS_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum column_type { COLUMN_TYPE_TEXT, COLUMN_TYPE_COUNT, COLUMN_TYPE_REAL };

enum column {
#define COLUMN(type, name, unit, help) COLUMN_##name,
#include "results/record.def"
#undef COLUMN
    COLUMN_LAST
};

struct column_info {
    const char *name, *unit, *help;
    enum column_type type;
    size_t offset; /* in the row's struct */
};

/* Indexed by enum column. */
extern const struct column_info columns[COLUMN_LAST];

typedef const char *record_TEXT;
typedef uint64_t record_COUNT;
typedef double record_REAL;

struct record {
#define COLUMN(type, name, unit, help) record_##type name;
#include "results/record.def"
#undef COLUMN
    uint64_t present[(COLUMN_LAST + 63) / 64];
};

static inline void record_mark(struct record *r, enum column column)
{
    r->present[column / 64] |= 1ull << (column % 64);
}

static inline int record_has(const struct record *r, enum column column)
{
    return (int)(r->present[column / 64] >> (column % 64) & 1);
}

/* Sets a field and marks it as available: RECORD_SET(&r, wall_ns, 5). */
#define RECORD_SET(r, field, value) ((r)->field = (value), record_mark((r), COLUMN_##field))

/* The name of a type: "text", "count", "real". */
const char *column_type_name(enum column_type type);

/* The header or a row as RFC 4180 text with its line end; lives in the caller's growing buffer
 * `*text`, which is realloc()ed and freed by the caller. Returns the length, or -ENOMEM. */
long record_header(char **text);
long record_row(const struct record *record, char **text);

/* Writes one RFC 4180 field: quoted where it needs to be. */
void csv_write(FILE *stream, const char *text);

/* Writes the field of `row` that a column describes. */
void csv_write_value(FILE *stream, const struct column_info *info, const void *row);

#endif
