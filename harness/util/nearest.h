/* "Did you mean": the known name nearest to a mistyped one. */
#ifndef HEAPMARK_UTIL_NEAREST_H
#define HEAPMARK_UTIL_NEAREST_H

#include <stddef.h>

/*
 * The candidate with the smallest edit distance to `word` (Damerau-Levenshtein, as git's help does
 * it), or NULL when none is near: more than a third of the letters differ, at least two allowed. A
 * candidate that begins with `word` always counts as near. Thread-safe.
 */
const char *nearest(const char *word, const char *const *candidates, size_t count);

#endif
