/*
 * Headers that the program wrote over: sizes, their flags, the sizes behind free chunks.
 */
#include "misuse.h"

#include <sys/mman.h>

static void size_too_small(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) = 17;
    ptm_free(p);
}

static void size_unaligned(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) |= 8;
    ptm_free(p);
}

static void size_wraps(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) = -(size_t)32 | 1;
    ptm_free(p);
}

static void size_out_of_heap(void)
{
    char *p = large();

    *size_word(p) = 1 << 30 | 1;
    ptm_free(p);
}

static void next_size_overwritten(void)
{
    char *p = large(), *next = p + 3008;

    *size_word(next) = 1;
    ptm_free(p);
}

static void forged_mapping(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) |= 2;
    ptm_free(p);
}

/* A block of 64 bytes from which a cached size reaches to the end of the heap. */
static char *near_the_end(void)
{
    char *p;

    do
        p = ptm_malloc(64);
    while ((char *)sbrk(0) - p > 1000);
    return hidden(p);
}

/* Bytes from the start of the block's chunk to the end of the heap. */
static size_t to_the_end(const char *p)
{
    return (size_t)((char *)sbrk(0) - (p - 16));
}

/* No chunk ends where the heap ends but the top. */
static void small_size_reaches_end(void)
{
    char *p = near_the_end();

    *size_word(p) = to_the_end(p) | 1;
    ptm_free(p);
}

static void small_size_beyond_end(void)
{
    char *p = near_the_end();

    *size_word(p) = (to_the_end(p) + 16) | 1;
    ptm_free(p);
}

/* The chunk behind each block says that the block is free; one of the eight leaves the fast path. */
static void small_next_says_free(void)
{
    char *p[8];

    for (int i = 0; i < 8; i++)
        p[i] = hidden(ptm_malloc(64));
    for (int i = 0; i < 8; i++)
        *size_word(p[i] + 80) &= ~(size_t)1;
    for (int i = 0; i < 8; i++)
        ptm_free(p[i]);
}

/* Whole pages, as a mapping is: the system would take them away from under their owner. */
static void forged_mapping_of_pages(void)
{
    char *p = ptm_memalign(4096, 3 * 4096);

    ((size_t *)p)[0] = 0;
    ((size_t *)p)[1] = 4096 | 2;
    ptm_free(hidden(p + 16));
}

static void forged_arena(void)
{
    char *p = large();

    *size_word(p) |= 4;
    ptm_free(p);
}

/* The A bit leads to readable memory that is no heap. */
static void forged_arena_readable(void)
{
    size_t place = (size_t)64 << 20;
    char *p = mmap(NULL, 2 * place, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *memory = (char *)(((uintptr_t)p + place - 1) & -place) + 4096;

    ptm_free(ptm_malloc(1));
    *size_word(memory) = 96 | 4 | 1;
    *size_word(memory + 96) = 96 | 4 | 1;
    ptm_free(hidden(memory));
}

/* A chunk in a fast bin whose size has changed. */
static void resized_in_fast_bin(void)
{
    char *p;

    without_caches();
    p = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(p);
    *size_word(p) += 16;
}

static void fast_size_overwritten(void)
{
    resized_in_fast_bin();
    ptm_malloc(64);
}

static void fast_size_seen_by_trim(void)
{
    resized_in_fast_bin();
    ptm_malloc_trim(0);
}

static void free_size_overwritten(void)
{
    char *p = sorted();

    *size_word(p) += 0x400;
    ptm_malloc(3000);
}

static void unsorted_size_overwritten(void)
{
    char *p = large();

    ptm_free(p);
    *size_word(p) = 16 | 1;
    ptm_malloc(2000);
}

static void unsorted_foot_overwritten(void)
{
    char *p = large(), *next = p + 3008;

    ptm_free(p);
    ((size_t *)next)[-2] = 0x100;
    ptm_malloc(2000);
}

static void unsorted_in_use(void)
{
    char *p = large(), *next = p + 3008;

    ptm_free(p);
    *size_word(next) |= 1;
    ptm_malloc(2000);
}

static void sorted_size_overwritten(void)
{
    *size_word(sorted()) = 0x100 | 1;
    ptm_malloc(2000);
}

static void prev_size_overwritten(void)
{
    char *p = large(), *next = p + 3008;

    ptm_free(p);
    ((size_t *)next)[-2] = 0x100;
    ptm_free(next);
}

static void top_overwritten(void)
{
    char *p = ptm_malloc(5000), *top = p + 5008;

    *size_word(hidden(top)) = 0x7fffff1;
    ptm_malloc(6000);
}

static void break_moved_back(void)
{
    ptm_malloc(1);
    if (sbrk(-4096) != (void *)-1)
        ptm_malloc(100000);
}

static void realloc_forged_mapping(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) |= 2;
    if (ptm_realloc(p, 100))
        _exit(3);
}

static void realloc_bad_size(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) = 16 | 1;
    if (ptm_realloc(p, 100))
        _exit(3);
}

/* The chunk would end before it starts. */
static void realloc_size_wraps(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) = -(size_t)32 | 1;
    if (ptm_realloc(p, 100))
        _exit(3);
}

static void realloc_next_overwritten(void)
{
    char *p = large(), *next = p + 3008;

    *size_word(next) = 1;
    if (ptm_realloc(p, 5000))
        _exit(3);
}

/* The next chunk of one that is put away unmerged. */
static void next_size_seen_by_fast_bin(void)
{
    char *p, *next;

    without_caches();
    p = hidden(ptm_malloc(64));
    next = hidden(ptm_malloc(64));
    *size_word(next) = 1 << 30 | 1;
    ptm_free(p);
}

/* What goes into a fast bin past the cache is looked at like everything else that is freed. */
static void next_says_free_seen_by_fast_bin(void)
{
    char *p, *next;

    without_caches();
    p = hidden(ptm_malloc(64));
    next = hidden(ptm_malloc(64));
    *size_word(next) &= ~(size_t)1;
    ptm_free(p);
}

/* A run is looked at when it comes back into the cache. */
static void run_size_overwritten(void)
{
    char *p[3];

    cached_by_one(p, 3);
    *size_word(p[0]) += 16;
    for (int i = 0; i < 3; i++)
        ptm_malloc(200);
}

/* Filling what is freed would write over everything up to the end of the heap, and beyond. */
static void size_out_of_heap_perturbed(void)
{
    setenv("HEAPMARK_PTMALLOC", "perturb=85", 1);
    size_out_of_heap();
}

static void realloc_size_out_of_heap(void)
{
    char *p = large();

    *size_word(p) = 1 << 30 | 1;
    if (ptm_realloc(p, 5000))
        _exit(3);
}

const struct misuse misuse_headers[] = {
    {FAULT(size_too_small), "free(): invalid size"},
    {FAULT(size_unaligned), "free(): invalid size"},
    {FAULT(size_wraps), "free(): invalid pointer"},
    {FAULT(size_out_of_heap), "free(): double free or corruption (out)"},
    {FAULT(next_size_overwritten), "free(): invalid next size"},
    {FAULT(forged_mapping), "free(): invalid pointer of a mapped chunk"},
    {FAULT(small_size_reaches_end), "free(): double free or corruption (top)"},
    {FAULT(small_size_beyond_end), "free(): double free or corruption (out)"},
    {FAULT(small_next_says_free), "free(): double free or corruption (!prev)"},
    {FAULT(forged_mapping_of_pages), "free(): invalid pointer of a mapped chunk"},
    {FAULT(forged_arena), "invalid arena of a chunk"},
    {FAULT(forged_arena_readable), "invalid arena of a chunk"},
    {FAULT(fast_size_overwritten), "malloc(): invalid size of a chunk in a fast bin"},
    {FAULT(fast_size_seen_by_trim), "consolidate: invalid size of a chunk in a fast bin"},
    {FAULT(free_size_overwritten), "corrupted size vs. prev_size"},
    {FAULT(unsorted_size_overwritten), "malloc(): invalid size in the unsorted bin"},
    {FAULT(unsorted_foot_overwritten), "malloc(): mismatching next->prev_size in the unsorted bin"},
    {FAULT(unsorted_in_use), "malloc(): invalid next->prev_inuse in the unsorted bin"},
    {FAULT(sorted_size_overwritten), "malloc(): invalid size in a bin"},
    {FAULT(prev_size_overwritten), "corrupted size vs. prev_size while merging"},
    {FAULT(top_overwritten), "malloc(): corrupted top size"},
    {FAULT(break_moved_back), "the break was moved back into the heap"},
    {FAULT(realloc_forged_mapping), "realloc(): invalid pointer of a mapped chunk"},
    {FAULT(realloc_bad_size), "realloc(): invalid old size"},
    {FAULT(realloc_size_wraps), "realloc(): invalid pointer"},
    {FAULT(realloc_next_overwritten), "realloc(): invalid next size"},
    {FAULT(next_size_seen_by_fast_bin), "free(): invalid next size"},
    {FAULT(next_says_free_seen_by_fast_bin), "free(): double free or corruption (!prev)"},
    {FAULT(run_size_overwritten), "malloc(): invalid size of a chunk in a fast bin"},
    {FAULT(size_out_of_heap_perturbed), "free(): double free or corruption (out)"},
    {FAULT(realloc_size_out_of_heap), "realloc(): invalid next size"},
    {0},
};
