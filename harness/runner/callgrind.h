/*
 * What callgrind found: instructions in all and by function. Reads the text format that valgrind's
 * manual describes (Callgrind Format Specification), as written without compression.
 */
#ifndef HEAPMARK_RUNNER_CALLGRIND_H
#define HEAPMARK_RUNNER_CALLGRIND_H

#include <stdint.h>
#include <stdio.h>

enum { CALLGRIND_FUNCTIONS = 20 };

struct callgrind_profile {
    uint64_t instructions; /* all of them */
    struct callgrind_function {
        const char *name, *object;    /* in the pool */
        uint64_t instructions;        /* its own */
    } functions[CALLGRIND_FUNCTIONS]; /* those with most, in order */
    uint32_t function_count;
};

/* Where valgrind is, by $PATH; NULL after it was said which package brings it. */
const char *callgrind_program(void);

/*
 * Callgrind itself, as valgrind's launcher would start it; NULL where it is at none of the places
 * that belong to such a `program`. In the pool.
 */
const char *callgrind_tool(const char *program);

/* Reads a whole profile. 0, or -EINVAL where the text is none (cut off, another format). */
int callgrind_read(FILE *stream, struct callgrind_profile *profile);

/* The same from a file, which it removes. 0, or -errno after an error was said. */
int callgrind_take(const char *path, struct callgrind_profile *profile);

#endif
