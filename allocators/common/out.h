/*
 * Text without allocation: a small buffer in front of a file descriptor or a stream. Used for
 * faults (where the heap cannot be trusted), for statistics and for dumps.
 */
#ifndef HM_OUT_H
#define HM_OUT_H

#include <stddef.h>
#include <stdio.h>

struct out {
    FILE *stream; /* if not NULL, written to instead of fd */
    int fd;
    size_t used;
    char text[512];
};

static inline struct out out_to_fd(int fd)
{
    return (struct out){.fd = fd};
}

static inline struct out out_to_stream(FILE *stream)
{
    return (struct out){.stream = stream};
}

/*
 * Writes `format`, in which %s is a string, %u a size_t, %U a size_t padded to ten columns, and %p
 * a pointer in hexadecimal. Nothing else is understood.
 */
void out_put(struct out *o, const char *format, ...);

void out_flush(struct out *o);

#endif
