/* The analysis half of heapmark is a Python package; this starts it. */
#ifndef HEAPMARK_UTIL_ANALYSIS_H
#define HEAPMARK_UTIL_ANALYSIS_H

/*
 * Runs `python3 -m heapmark ARGUMENTS...` (NULL-terminated) with the interpreter that Debian's
 * packages belong to, or the one HEAPMARK_PYTHON names, and returns its exit code; 2 after an error
 * was said.
 */
int analysis_run(const char *const *arguments);

/*
 * The same in this process's place, so that signals reach it and nobody waits in between. Returns only when it
 * cannot be found: 2, after an error was said.
 */
int analysis_become(const char *const *arguments);

#endif
