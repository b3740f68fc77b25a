/*
 * Reading "name=value:name=value" from an environment variable, before main and without allocation.
 * One thread.
 */
#ifndef HM_KNOB_TEXT_H
#define HM_KNOB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* One knob: a size_t in a structure. The list ends with a NULL name. */
struct knob {
    const char *name;
    size_t offset; /* of the size_t in the structure, bytes */
    size_t min, max;
    const char *const *words; /* NULL-terminated: the value is one of these and stored as its index;
                                 NULL: a decimal number with an optional k, m or g */
    void (*set)(void *into);  /* called when the knob was given; may be NULL */
};

/*
 * Changes what `text` names in the structure at `into`. A malformed text is reported in one line on
 * standard error that names the knob and `variable`, and changes nothing; false then. `into` has at
 * most 256 bytes.
 */
bool knob_text_read(const char *text, const char *variable, const struct knob *knobs, void *into,
                    size_t bytes);

#endif
