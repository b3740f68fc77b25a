#include "workloads/trace/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_chunk(const struct words *words, const struct lane *lane)
{
    const char *at = (const char *)lane->words;
    off_t offset = (off_t)(words->head_bytes + lane->chunk * PROGRAM_CHUNK_BYTES);
    for (size_t left = PROGRAM_CHUNK_BYTES; left > 0;) {
        ssize_t wrote = pwrite(words->fd, at, left, offset);
        if (wrote < 0)
            return -errno;
        at += wrote;
        offset += wrote;
        left -= (size_t)wrote;
    }
    return 0;
}

static int begin(struct words *words, struct lane *lane)
{
    lane->words = calloc(1, PROGRAM_CHUNK_BYTES);
    if (lane->words == NULL)
        return -ENOMEM;
    lane->chunk = lane->first_chunk = words->chunks++;
    return 0;
}

static int turn_over(struct words *words, struct lane *lane)
{
    uint64_t next = words->chunks++;
    lane->words[lane->used] = program_word(PROGRAM_CONTROL, PROGRAM_NEXT, next);
    int error = write_chunk(words, lane);
    lane->chunk = next;
    lane->used = 0;
    return error;
}

int words_put(struct words *words, uint32_t index, const uint64_t *group, unsigned count)
{
    struct lane *lane = &words->lanes[index];
    int error = lane->words == NULL ? begin(words, lane) : 0;
    if (error == 0 && lane->used + count + 1 > PROGRAM_CHUNK_WORDS)
        error = turn_over(words, lane);
    if (error != 0)
        return error;
    memcpy(lane->words + lane->used, group, count * sizeof *group);
    lane->used += count;
    return 0;
}

int words_finish(struct words *words, uint32_t lanes)
{
    int error = 0;
    for (uint32_t i = 0; i < lanes; i++) {
        if (error == 0 && words->lanes[i].words != NULL)
            error = write_chunk(words, &words->lanes[i]);
        free(words->lanes[i].words);
        words->lanes[i].words = NULL;
    }
    return error;
}
