/* Reads back what a cut-off run left: just enough of RFC 4180 for our own files. */
#ifndef HEAPMARK_RESULTS_CSV_READ_H
#define HEAPMARK_RESULTS_CSV_READ_H

#include <stddef.h>

/*
 * Splits the record that starts at `text` into at most `capacity` fields, unquoting in place.
 * Returns its number of fields, with *next behind its line end; 0 when the record is not complete
 * (the text ends before its line does).
 */
size_t csv_record(char *text, char *end, char **fields, size_t capacity, char **next);

#endif
