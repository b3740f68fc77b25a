/*
 * allocator.h: what describes an allocator to heapmark.
 *
 * Adding an allocator is one descriptor file that defines `const struct allocator allocator_NAME`
 * and its line ALLOCATOR(NAME) in allocators/list.def. See allocators/external/jemalloc.c.
 */
#ifndef HEAPMARK_ALLOCATOR_H
#define HEAPMARK_ALLOCATOR_H

#include <stddef.h>

/* One setting that a variant such as `jemalloc:narenas=1` may name. */
struct allocator_knob {
    const char *name;
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

    /* The knobs it knows, ended by a NULL name; NULL: any name is passed on unchecked. */
    const struct allocator_knob *knobs;

    /* Knobs that are always set, in the form of a variant ("arenas=1:tcache=0"); may be NULL. */
    const char *preset;
};

#endif
