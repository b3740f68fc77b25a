/* What env.json says of the recordings that a run replays. Control plane, one thread. */
#ifndef HEAPMARK_RESULTS_TRACES_JSON_H
#define HEAPMARK_RESULTS_TRACES_JSON_H

#include "plan/plan.h"

#include <jansson.h>

/*
 * A list with an object for each trace of the plan:
 *
 *   trace        as the rows' params name it; bytes that are no UTF-8 as \xNN, here and below
 *   command      the recorded one as a shell takes it; null where it is not known, or not whole
 *   events       all of them
 *   sha256       of the file
 *   half_seen    objects of which the recorder saw only the free, or only the allocation; null where
 *                that is no wonder: imports, and recordings of a part of the program's life
 *   successor    where the process went on after exec(): the last of its traces beside this one,
 *                or null
 */
json_t *traces_json(const struct plan *plan);

/* Whether the plan's traces still are those of such a list. 0, or -EINVAL after an error was said. */
int traces_json_check(const json_t *list, const struct plan *plan);

#endif
