#include "runner/until.h"

#include "util/analysis.h"

#include <stddef.h>

bool until_is_reached(struct until *until, uint32_t blocks)
{
    enum { NARROW = 0, NOT_YET = 3 };
    uint32_t next = until->next > UNTIL_FIRST_BLOCKS ? until->next : UNTIL_FIRST_BLOCKS;
    if (blocks < next)
        return false;
    int answer = analysis_run((const char *const[]){"until", until->run, until->percent, NULL});
    until->next = blocks + (blocks + 3) / 4;
    until->was_reached = answer == NARROW;
    return answer != NOT_YET;
}
