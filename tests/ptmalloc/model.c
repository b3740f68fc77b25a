#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptmalloc.h"

void model_fail(const char *what, const struct block *b)
{
    fprintf(stderr, "model: %s: block %p of %zu bytes\n", what, b ? (void *)b->memory : NULL,
            b ? b->bytes : 0);
    abort();
}

uint64_t model_random(struct model *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static uint64_t variant_seed(void)
{
    const char *knobs = getenv("HEAPMARK_PTMALLOC");
    uint64_t hash = 0;

    for (; knobs && *knobs; knobs++)
        hash = (hash ^ (unsigned char)*knobs) * 0x100000001b3u;
    return hash;
}

void model_start(struct model *m, uint64_t seed, struct block *block, size_t slots)
{
    *m = (struct model){
        .random = ((seed * 0x9e3779b97f4a7c15u) ^ variant_seed()) | 1,
        .slots = slots,
        .block = block,
        .max_bytes = (size_t)4 << 20,
    };
    memset(block, 0, slots * sizeof *block);
}

/* Large blocks are written and read at their ends and once a page: enough to see any overlap. */
static size_t next_offset(const struct block *b, size_t at)
{
    if (b->bytes <= 8192 || at < 64 || at + 64 >= b->bytes)
        return at + 1;
    return at + 4096 < b->bytes - 64 ? at + 4096 : b->bytes - 64;
}

static unsigned char expected(const struct block *b, size_t at)
{
    return (unsigned char)(b->seed + at * 31);
}

static void fill(struct block *b)
{
    for (size_t i = 0; i < b->bytes; i = next_offset(b, i))
        b->memory[i] = expected(b, i);
}

static void verify(const struct block *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i = next_offset(b, i))
        if (b->memory[i] != expected(b, i))
            model_fail("contents changed", b);
}

/* Small sizes are frequent, large ones are there. */
static size_t random_bytes(struct model *m)
{
    uint64_t r = model_random(m);
    size_t max;

    switch (r % 16) {
    case 0: max = m->max_bytes; break;
    case 1:
    case 2: max = (size_t)64 << 10; break;
    case 3:
    case 4:
    case 5: max = 4096; break;
    default: max = 300; break;
    }
    return (r >> 8) % (max + 1);
}

/* True if the call may have been refused and was. */
static bool refused(struct model *m, const void *memory, size_t bytes)
{
    if (memory)
        return false;
    if (!m->may_refuse || errno != ENOMEM)
        model_fail("a request was refused", &(struct block){NULL, bytes, 0});
    m->refused++;
    return true;
}

static void take_in(struct model *m, struct block *b, void *memory, size_t bytes, size_t align)
{
    if (refused(m, memory, bytes))
        return;
    b->memory = memory;
    b->bytes = bytes;
    b->seed = (unsigned char)model_random(m);
    if ((uintptr_t)memory % align)
        model_fail("unaligned memory", b);
    if (ptm_malloc_usable_size(memory) < bytes)
        model_fail("usable size below what was asked for", b);
    fill(b);
}

static void do_calloc(struct model *m, struct block *b)
{
    size_t bytes = random_bytes(m);
    unsigned char *memory = ptm_calloc(bytes / 4 + 1, 4);

    bytes = (bytes / 4 + 1) * 4;
    for (size_t i = 0; memory && i < bytes; i++)
        if (memory[i])
            model_fail("calloc did not clear", &(struct block){memory, bytes, 0});
    take_in(m, b, memory, bytes, 16);
}

static void do_aligned(struct model *m, struct block *b)
{
    size_t align = (size_t)16 << model_random(m) % 14, bytes = random_bytes(m);
    void *memory = NULL;
    int error;

    if (model_random(m) % 2) {
        error = ptm_posix_memalign(&memory, align, bytes);
        if (error)
            errno = error;
    } else {
        memory = ptm_memalign(align, bytes);
    }
    take_in(m, b, memory, bytes, align);
}

static void do_realloc(struct model *m, struct block *b)
{
    size_t bytes = random_bytes(m) + 1, kept = bytes < b->bytes ? bytes : b->bytes;
    void *memory = ptm_realloc(b->memory, bytes);
    struct block old = *b;

    if (refused(m, memory, bytes)) {
        verify(b, b->bytes);
        return;
    }
    old.memory = memory;
    verify(&old, kept <= 8192 ? kept : 64);
    b->memory = NULL;
    take_in(m, b, memory, bytes, 16);
}

static void do_free(struct block *b)
{
    verify(b, b->bytes);
    ptm_free(b->memory);
    b->memory = NULL;
}

void model_step(struct model *m)
{
    struct block *b = &m->block[model_random(m) % m->slots];
    unsigned kind = model_random(m) % 16;

    errno = 0;
    if (b->memory) {
        if (kind < 4)
            do_realloc(m, b);
        else
            do_free(b);
    } else if (kind < 2) {
        do_aligned(m, b);
    } else if (kind < 5) {
        do_calloc(m, b);
    } else {
        size_t bytes = random_bytes(m);

        take_in(m, b, ptm_malloc(bytes), bytes, 16);
    }
}

void model_end(struct model *m)
{
    for (size_t i = 0; i < m->slots; i++)
        if (m->block[i].memory)
            do_free(&m->block[i]);
}
