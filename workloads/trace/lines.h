/* Lines of a file, one at a time. Not thread-safe. */
#ifndef HEAPMARK_TRACE_LINES_H
#define HEAPMARK_TRACE_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LINE_BYTES_MAX = 1 << 20 }; /* no file decides how much memory a line takes */

struct lines {
    FILE *file; /* the caller's */
    char *text; /* the line without its end */
    size_t capacity;
    uint64_t number; /* of the line in `text`, from 1 */
    bool unended;    /* the file ended before the line did */
    bool damaged;    /* longer than the limit, or with a zero byte in it */
};

/* 1 when there is a line, 0 at the end, -ENOMEM, -errno of the file. Start with a zeroed struct. */
int lines_next(struct lines *lines);
void lines_release(struct lines *lines);

#endif
