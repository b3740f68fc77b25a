#include "bins.h"

#include "fault.h"
#include "heap.h"

void bins_start(struct arena *a)
{
    for (unsigned i = 0; i <= PTM_BINS; i++) {
        struct chunk *head = bin_head(a, i);

        head->fd = head->bk = head;
    }
}

unsigned binmap_find(const struct arena *a, unsigned index)
{
    unsigned word = index / 64;
    uint64_t bits = a->binmap[word] & ~(uint64_t)0 << index % 64;

    if (!bits && word == 0)
        bits = a->binmap[word = 1];
    return bits ? word * 64 + (unsigned)__builtin_ctzll(bits) : PTM_BINS;
}

/*
 * The leader of a size hands its place in the skip list to the next chunk of that size, or leaves
 * it. A list head seen as a chunk has the next bin's fd where fd_nextsize would be, which is never
 * NULL: it looks like a leader, as it should (hence the one bin too many at the end of the array).
 */
static inline __attribute__((always_inline)) void skip_unlink(struct chunk *c)
{
    struct chunk *heir = c->fd;

    if (PTM_UNLIKELY(c->fd_nextsize->bk_nextsize != c || c->bk_nextsize->fd_nextsize != c))
        fault("corrupted size list of a large bin", chunk_memory(c));
    if (heir->fd_nextsize != NULL) {
        c->fd_nextsize->bk_nextsize = c->bk_nextsize;
        c->bk_nextsize->fd_nextsize = c->fd_nextsize;
    } else if (c->fd_nextsize == c) {
        heir->fd_nextsize = heir->bk_nextsize = heir;
    } else {
        heir->fd_nextsize = c->fd_nextsize;
        heir->bk_nextsize = c->bk_nextsize;
        c->fd_nextsize->bk_nextsize = heir;
        c->bk_nextsize->fd_nextsize = heir;
    }
}

/* Inlined into arena_merge(), which then calls nothing and saves no registers. */
static inline __attribute__((always_inline)) void unlink_free(struct chunk *c)
{
    size_t size = chunk_size(c);
    struct chunk *fd = c->fd, *bk = c->bk;

    if (PTM_UNLIKELY(size != chunk_at(c, size)->prev_size))
        fault("corrupted size vs. prev_size", chunk_memory(c));
    if (PTM_UNLIKELY(fd->bk != c || bk->fd != c))
        fault("corrupted double-linked list", chunk_memory(c));
    fd->bk = bk;
    bk->fd = fd;
    if (!is_small(size) && c->fd_nextsize != NULL)
        skip_unlink(c);
}

void bin_unlink(struct chunk *c)
{
    unlink_free(c);
}

static void list_insert(struct chunk *c, struct chunk *after)
{
    struct chunk *before = after->fd;

    if (PTM_UNLIKELY(before->bk != after))
        fault("corrupted double-linked list", chunk_memory(c));
    c->fd = before;
    c->bk = after;
    before->bk = c;
    after->fd = c;
}

/* Makes c the leader of its size, between the next larger leader and the next smaller one. */
static void skip_insert(struct chunk *c, struct chunk *larger, struct chunk *smaller)
{
    if (PTM_UNLIKELY(larger->fd_nextsize != smaller || smaller->bk_nextsize != larger))
        fault("corrupted size list of a large bin", chunk_memory(c));
    c->fd_nextsize = smaller;
    c->bk_nextsize = larger;
    larger->fd_nextsize = c;
    smaller->bk_nextsize = c;
}

static void large_insert(struct chunk *head, struct chunk *c, size_t size)
{
    struct chunk *largest = head->fd, *leader;

    c->fd_nextsize = c->bk_nextsize = NULL;
    if (largest == head) {
        c->fd_nextsize = c->bk_nextsize = c;
        list_insert(c, head);
        return;
    }
    if (size < chunk_size(head->bk)) {
        /* Smaller than all: the common case of a bin fed with remainders. */
        skip_insert(c, largest->bk_nextsize, largest);
        list_insert(c, head->bk);
        return;
    }
    for (leader = largest; size < chunk_size(leader); leader = leader->fd_nextsize)
        ;
    if (size == chunk_size(leader)) {
        /* Second of its size: the leader keeps its links. */
        list_insert(c, leader);
        return;
    }
    skip_insert(c, leader->bk_nextsize, leader);
    list_insert(c, leader->bk);
}

void bin_insert(struct arena *a, struct chunk *c, size_t size)
{
    unsigned index = bin_index(size);

    binmap_set(a, index);
    if (is_small(size))
        list_insert(c, bin_head(a, index));
    else
        large_insert(bin_head(a, index), c, size);
}

void unsorted_insert(struct arena *a, struct chunk *c, size_t size)
{
    if (!is_small(size))
        c->fd_nextsize = c->bk_nextsize = NULL;
    list_insert(c, bin_head(a, PTM_UNSORTED));
}

struct chunk *large_best_fit(struct arena *a, unsigned index, size_t size)
{
    struct chunk *head = bin_head(a, index), *leader = head->fd;

    if (leader == head || chunk_size(leader) < size)
        return NULL;
    do
        leader = leader->bk_nextsize;
    while (chunk_size(leader) < size);
    /* Take the second of its size, if there is one: the skip list stays as it is. */
    if (leader->fd != head && chunk_size(leader->fd) == chunk_size(leader))
        return leader->fd;
    return leader;
}

/* Checks what the neighbours say about a chunk that is being freed; the size of the next one. */
static inline size_t check_neighbours(struct arena *a, struct chunk *c, size_t flags,
                                      struct chunk *next)
{
    size_t head, size;

    if (PTM_UNLIKELY(c == a->top))
        fault("free(): double free or corruption (top)", chunk_memory(c));
    if (PTM_UNLIKELY(!heap_holds(c, flags, next)))
        fault("free(): double free or corruption (out)", chunk_memory(c));
    head = chunk_head(next);
    size = head & ~(size_t)CHUNK_FLAGS;
    if (PTM_UNLIKELY(!(head & CHUNK_P)))
        fault("free(): double free or corruption (!prev)", chunk_memory(c));
    if (PTM_UNLIKELY(size < PTM_CHUNK_HEADER || size >= a->system_bytes))
        fault("free(): invalid next size", chunk_memory(c));
    return size;
}

size_t arena_merge(struct arena *a, struct chunk *c, size_t size)
{
    size_t flags = chunk_head(c), heap_flag = flags & CHUNK_A;
    struct chunk *next = chunk_at(c, size);
    size_t next_size = check_neighbours(a, c, flags, next);

    if (!(flags & CHUNK_P)) {
        size_t before = c->prev_size;

        c = chunk_at(c, -before);
        if (PTM_UNLIKELY(chunk_size(c) != before))
            fault("corrupted size vs. prev_size while merging", chunk_memory(c));
        unlink_free(c);
        size += before;
    }
    if (next == a->top) {
        size += next_size;
        chunk_set_head(c, size | heap_flag | CHUNK_P);
        a->top = c;
        return size;
    }
    if (!chunk_prev_in_use(chunk_at(next, next_size))) {
        size += next_size;
        unlink_free(next);
    } else {
        chunk_mark_prev_free(next);
    }
    chunk_set_head(c, size | heap_flag | CHUNK_P);
    chunk_set_foot(c, size);
    unsorted_insert(a, c, size);
    return size;
}
