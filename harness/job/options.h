/* The table of a run's options (options.def), and what can be done with one of its lines. */
#ifndef HEAPMARK_JOB_OPTIONS_H
#define HEAPMARK_JOB_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum run_option_type {
    TYPE_NAMES,
    TYPE_COUNTS,
    TYPE_COUNT,
    TYPE_BYTES,
    TYPE_DURATION,
    TYPE_FLAG,
    TYPE_PERCENT,
    TYPE_TEXT
};
enum run_option_scope { SCOPE_SECTION, SCOPE_RUN, SCOPE_CALL };

enum run_option_id {
#define OPTION(id, ...) OPT_##id,
#include "job/options.def"
#undef OPTION
    OPT_COUNT
};

struct run_option {
    const char *name;
    enum run_option_type type;
    enum run_option_scope scope;
    const char *argument, *fallback;
    uint64_t min, max;
    const char *help;
};

/* Indexed by enum run_option_id. */
extern const struct run_option run_options[OPT_COUNT];

/* The option of that name, or NULL. */
const struct run_option *run_option_find(const char *name);

/*
 * Checks a value by type and range. 0, or -EINVAL with what was expected in `expected` (up to
 * `bytes`), such as "a number from 1 to 1024".
 */
int run_option_check(const struct run_option *option, const char *value, char *expected,
                     size_t bytes);

/* A checked COUNT, BYTES, DURATION (ns), PERCENT (thousandths) or FLAG (0 or 1) value as a number. */
uint64_t run_option_number(const struct run_option *option, const char *value);

/* The name nearest to an unknown key among run options of files and `more`, or NULL. */
const char *run_option_nearest(const char *name, const char *const *more, size_t more_count);

#endif
