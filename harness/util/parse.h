/* Numbers as people write them. All return 0, or -EINVAL and leave *value alone. Thread-safe. */
#ifndef HEAPMARK_UTIL_PARSE_H
#define HEAPMARK_UTIL_PARSE_H

#include <stdint.h>

/* "1000", "1k", "10m", "2g": k, m, g are powers of 1000. */
int parse_count(const char *text, uint64_t *value);

/* "4096", "64k", "1m", "2g", with an optional final "b" or "ib": powers of 1024. */
int parse_bytes(const char *text, uint64_t *value);

/* "100ms", "2s", "1.5s", "3m", "1h", "250us": nanoseconds; a bare number is seconds. */
int parse_duration_ns(const char *text, uint64_t *value);

/* The reverse: "1m40s", "12s", "100ms". `text` needs 32 bytes; returned. */
const char *format_duration(uint64_t ns, char *text);

/* "64", "4k", "1m" (powers of 1024 where exact). `text` needs 32 bytes; returned. */
const char *format_bytes(uint64_t bytes, char *text);

#endif
