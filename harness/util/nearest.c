#include "util/nearest.h"

#include <limits.h>
#include <string.h>

enum { WORD_MAX = 63 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment distance; words longer than WORD_MAX are compared by their beginnings. */
static unsigned distance(const char *a, const char *b)
{
    unsigned table[3][WORD_MAX + 1];
    size_t a_len = strnlen(a, WORD_MAX), b_len = strnlen(b, WORD_MAX);
    for (size_t j = 0; j <= b_len; j++)
        table[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = table[i % 3], *above = table[(i + 2) % 3], *above2 = table[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            int swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return table[a_len % 3][b_len];
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = UINT_MAX;
    size_t length = strlen(word);
    for (size_t i = 0; i < count; i++) {
        int is_prefix = length >= 2 && strncmp(word, candidates[i], length) == 0;
        unsigned d = is_prefix ? 1 : distance(word, candidates[i]);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    unsigned allowed = length / 3 > 2 ? (unsigned)(length / 3) : 2;
    /* Two edits turn any two-letter word into any other: be stricter with short ones. */
    if (length <= 3)
        allowed = 1;
    return best_distance <= allowed ? best : NULL;
}
