/*
 * allocator.h: what describes an allocator to heapmark.
 *
 * Adding an allocator is one descriptor file that defines `const struct allocator allocator_NAME`
 * and its line ALLOCATOR(NAME) in allocators/list.def. See allocators/external/jemalloc.c.
 */
#ifndef HEAPMARK_ALLOCATOR_H
#define HEAPMARK_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>

enum knob_type {
    KNOB_TEXT,    /* anything: what the library makes of it is not known beforehand */
    KNOB_WORD,    /* one of `words` */
    KNOB_COUNT,   /* a whole number */
    KNOB_BYTES,   /* the same, and k, m or g behind it means KiB, MiB, GiB */
    KNOB_DECIMAL, /* a number, maybe negative or with decimals, or one of `words` */
};

/*
 * One setting that a variant such as `ptmalloc:arenas=1` may name, and the values that the library
 * takes. Another value is refused before anything runs: a library that ignores it would be measured
 * with its default under the variant's name. The name "*" stands for all that are not listed.
 */
struct allocator_knob {
    const char *name;
    enum knob_type type;
    size_t min, max;          /* KNOB_COUNT and KNOB_BYTES: inclusive; SIZE_MAX: no limit */
    const char *const *words; /* KNOB_WORD and KNOB_DECIMAL: required, NULL-terminated */
    const char *help;
};

struct allocator {
    const char *name;    /* required; what --allocators takes */
    const char *summary; /* required; one line for `list allocators` */
    const char *package; /* required for external ones: the Debian package that brings it */
    const char *colour;  /* required; "#rrggbb", the same in every plot */
    const char *risks;   /* required; what who preloads it should know, in half a sentence or two */

    /*
     * The shared object to preload: the first of these that exists, NULL-terminated. A name with a
     * slash is a path, one that starts with "libhm_" is our own and lies in heapmark's library
     * directory, any other is looked up in the dynamic linker's cache. An entry may hold a '*',
     * which matches as in the shell. NULL: nothing is preloaded, the C library's malloc is measured.
     */
    const char *const *libraries;

    /*
     * How knobs reach the allocator's environment. "VAR={name}:{value}," joins all knobs with the
     * last character into one variable; a {NAME} in the variable's name ("MIMALLOC_{NAME}={value}")
     * makes one variable per knob, its name in capitals. NULL: the allocator has no knobs.
     */
    const char *knob_template;

    /* The knobs it knows, ended by a NULL name; required where there is a template. */
    const struct allocator_knob *knobs;

    /*
     * What stands in the line that the library prints when it ignores a knob, and nowhere else in
     * what it prints: a trial whose output holds it is `unsupported`, not a measurement of the
     * default. NULL: the library says nothing.
     */
    const char *refusal;

    /* Knobs that are always set, in the form of a variant ("arenas=1:tcache=0"); may be NULL. */
    const char *preset;
};

#endif
