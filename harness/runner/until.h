/*
 * When a run with --until has enough blocks. The statistics are the analysis' (heapmark.until): it
 * is asked between blocks, at 8 first and then whenever blocks have grown by a quarter, because an
 * interval that is looked at after every block would sooner or later look narrow by chance.
 */
#ifndef HEAPMARK_RUNNER_UNTIL_H
#define HEAPMARK_RUNNER_UNTIL_H

#include <stdbool.h>
#include <stdint.h>

enum { UNTIL_FIRST_BLOCKS = 8 };

struct until {
    const char *run;     /* the run directory */
    const char *percent; /* as the user wrote it */
    uint32_t next;       /* blocks at which the analysis is asked again */
    bool was_reached;
};

/* Whether the run can end after `blocks` whole ones. True also if the analysis cannot tell, after
 * it has said why: more blocks would not help. */
bool until_is_reached(struct until *until, uint32_t blocks);

#endif
