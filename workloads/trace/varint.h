/*
 * Numbers as a trace's columns hold them (LEB128): seven bits a byte, the low ones first, the
 * highest bit set in all but the last. Not thread-safe: a span or a place is one caller's.
 */
#ifndef HEAPMARK_TRACE_VARINT_H
#define HEAPMARK_TRACE_VARINT_H

#include <stdbool.h>
#include <stdint.h>

enum { VARINT_BYTES_MAX = 10 }; /* of 64 bits */

/* Bytes that are read from the front. */
struct varint_span {
    const unsigned char *at, *end;
};

/* The next number. False: the span ends in it, or it has more than 64 bits. */
static inline bool varint_get(struct varint_span *span, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && span->at < span->end; shift += 7) {
        unsigned char byte = *span->at++;
        if (shift == 63 && byte > 1)
            return false;
        result |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = result;
            return true;
        }
    }
    return false;
}

static inline bool varint_get32(struct varint_span *span, uint32_t *value)
{
    uint64_t wide;
    if (!varint_get(span, &wide) || wide > UINT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

/* Returns the place behind the number. Up to VARINT_BYTES_MAX bytes are written. */
static inline unsigned char *varint_put(unsigned char *at, uint64_t value)
{
    while (value >= 128) {
        *at++ = (unsigned char)(value | 128);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

#endif
