/*
 * A plain model of a heap: what was asked for, and what was written into it. Every operation on the
 * allocator goes through it, and every byte that is read back is compared.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    unsigned char *memory;
    size_t bytes;
    unsigned char seed;
};

struct model {
    uint64_t random;
    size_t slots;
    struct block *block;
    size_t refused;   /* calls that returned NULL */
    bool may_refuse;  /* is NULL with ENOMEM an allowed answer? */
    size_t max_bytes; /* of one request */
};

/*
 * `block` has `slots` empty entries. The sequence depends on the seed and on HEAPMARK_PTMALLOC: every
 * variant of the allocator that is tested gets sequences of its own.
 */
void model_start(struct model *m, uint64_t seed, struct block *block, size_t slots);

uint64_t model_random(struct model *m);

/* One operation drawn at random; aborts with a message if the allocator gives a wrong answer. */
void model_step(struct model *m);

/* Verifies and frees everything. */
void model_end(struct model *m);

/* Fails the program with a message. */
_Noreturn void model_fail(const char *what, const struct block *b);

#endif
