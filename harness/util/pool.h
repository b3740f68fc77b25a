/*
 * Memory of the control plane that lives as long as the program: names, lists, plans. It is given
 * back in one go at exit. Running out of memory ends the program (exit code 1): there is nothing
 * sensible left to do before a run has begun. Not thread-safe: the control plane has one thread.
 */
#ifndef HEAPMARK_UTIL_POOL_H
#define HEAPMARK_UTIL_POOL_H

#include <stddef.h>

/* Zeroed memory. */
void *pool_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
char *pool_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *pool_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* Gives everything back now: nothing from the pool may be used any more. For fuzzing, and at exit. */
void pool_reset(void);

/* A growing list of strings; `items` always ends in a NULL that `count` does not count. */
struct strings {
    const char **items;
    size_t count, capacity;
};

void strings_add(struct strings *list, const char *item);
void strings_append(struct strings *list, struct strings more);

/* Splits at `separator` into trimmed pieces; an empty text makes an empty list. */
struct strings strings_split(const char *text, char separator);

/* The items with `separator` between them. */
const char *strings_join(const struct strings *list, const char *separator);

#endif
