/*
 * One tiny program for each fault, run in a child: it must die of SIGABRT, and the one line it
 * leaves on standard error must name the fault.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ptmalloc.h"

/* Hides from the compiler what is done on purpose. */
static void *hidden(void *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* What an overflow may leave in place of a link: a misaligned pointer, when unmangled. */
static size_t bad_link(void *at)
{
    return (uintptr_t)at >> 12 ^ 0x414141414148;
}

static size_t *size_word(void *memory)
{
    return (size_t *)memory - 1;
}

/* A chunk that no cache takes, with another behind it that keeps it from the top. */
static char *large(void)
{
    char *p = ptm_malloc(3000);

    ptm_malloc(3000);
    return hidden(p);
}

static void without_caches(void)
{
    setenv("HEAPMARK_PTMALLOC", "arenas=1:tcache=0", 1);
}

static void double_free_cached(void)
{
    void *p = hidden(ptm_malloc(64));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_cached_later(void)
{
    void *p = hidden(ptm_malloc(64)), *q = ptm_malloc(64);

    ptm_free(p);
    ptm_free(q);
    ptm_free(p);
}

/* In a run that has left the cache. */
static void double_free_parked(void)
{
    void *p[1000];

    for (int i = 0; i < 1000; i++)
        p[i] = hidden(ptm_malloc(64));
    for (int i = 0; i < 1000; i++)
        ptm_free(p[i]);
    ptm_free(p[0]);
}

static void double_free_fast(void)
{
    void *p;

    without_caches();
    p = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(p);
    ptm_free(p);
}

static void double_free_large(void)
{
    char *p = large();

    ptm_free(p);
    ptm_free(p);
}

static void double_free_top(void)
{
    void *p = hidden(ptm_malloc(3000));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_mapped(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_mapped_later(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20)), *q = ptm_malloc((size_t)65 << 20);

    ptm_free(p);
    ptm_free(q);
    ptm_free(ptm_malloc((size_t)66 << 20));
    ptm_free(p);
}

static void misaligned(void)
{
    ptm_free(hidden((char *)ptm_malloc(64) + 8));
}

static void interior(void)
{
    char *p = ptm_malloc(640);

    memset(p, 0, 640);
    ptm_free(hidden(p + 64));
}

/* The user's data look like the size of a chunk, but nothing like a chunk comes behind. */
static void interior_plausible(void)
{
    char *p = ptm_malloc(640);

    memset(p, 0, 640);
    *size_word(p + 64) = 96 | 1;
    ptm_free(hidden(p + 64));
}

static void interior_plausible_large(void)
{
    char *p = large();

    memset(p, 0, 3000);
    *size_word(p + 64) = 2000 | 1;
    *size_word(p + 2064) = 96;
    ptm_free(hidden(p + 64));
}

/* It looks like a chunk in every way, but for where it lies. */
static void outside_plausible(void)
{
    static size_t words[64] __attribute__((aligned(16)));

    words[1] = 96 | 1;
    words[13] = 96 | 1;
    ptm_free(ptm_malloc(3000));
    ptm_free(hidden(&words[2]));
}

static void on_the_stack(void)
{
    size_t words[8] __attribute__((aligned(16))) = {0};

    ptm_free(hidden(&words[2]));
}

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

/* An overflow over the end of a block into the links of a freed one. */
static void cached_link_overwritten(void)
{
    char *p = hidden(ptm_malloc(64)), *q = hidden(ptm_malloc(64));

    ptm_free(q);
    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_malloc(64);
    ptm_malloc(64);
}

static void fast_link_overwritten(void)
{
    char *p, *q;

    without_caches();
    p = hidden(ptm_malloc(64));
    q = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(q);
    ptm_free(p);
    ((size_t *)p)[2] = bad_link(p) | (size_t)1 << 48;
    ptm_malloc(64);
}

/* Two runs of one chunk in a fast bin; the link of the newer one is broken. Returns the older one. */
static char *broken_fast_bin(void)
{
    char *p, *q;

    without_caches();
    p = hidden(ptm_malloc(64));
    q = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(q);
    ptm_free(p);
    ((size_t *)p)[2] = bad_link(p) | (size_t)1 << 48;
    return q;
}

static void fast_link_seen_by_free(void)
{
    ptm_free(broken_fast_bin());
}

static void fast_link_seen_by_trim(void)
{
    broken_fast_bin();
    ptm_malloc_trim(0);
}

static void fast_link_seen_by_mallinfo(void)
{
    broken_fast_bin();
    if (ptm_mallinfo2().arena)
        _exit(3);
}

/* The child of a fork counts what is parked; this child dies as that one did. */
static void fast_link_seen_by_fork(void)
{
    char *p[4];
    int status;
    pid_t child;

    setenv("HEAPMARK_PTMALLOC", "arenas=1:tcache=1", 1);
    for (int i = 0; i < 4; i++)
        p[i] = hidden(ptm_malloc(200));
    for (int i = 0; i < 4; i++)
        ptm_free(p[i]); /* the last two stay in the cache, a run each */
    ((size_t *)p[1])[2] = bad_link(p[1]) | (size_t)1 << 48;
    child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        kill(getpid(), WTERMSIG(status));
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

static void cached_link_seen_by_free(void)
{
    char *p = hidden(ptm_malloc(64)), *q = hidden(ptm_malloc(64));

    ptm_free(q);
    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_free(q);
}

static void bin_link_overwritten(void)
{
    char *p = large();

    ptm_free(p);
    ((void **)p)[1] = hidden(p - 16);
    ((void **)p)[0] = hidden(p - 16);
    ptm_malloc(2000);
}

/* A large free chunk, sorted into its bin. */
static char *sorted(void)
{
    char *p = large();

    ptm_free(p);
    ptm_malloc(100000);
    return p;
}

static void sorted_link_overwritten(void)
{
    char *p = sorted();

    ((void **)p)[0] = hidden(p - 16);
    ptm_malloc(2000);
}

static void skip_link_overwritten(void)
{
    char *p = sorted();

    ((void **)p)[2] = hidden(p + 16);
    ptm_malloc(2500);
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

static void realloc_misaligned(void)
{
    if (ptm_realloc(hidden((char *)ptm_malloc(64) + 8), 100))
        _exit(3);
}

static void realloc_bad_size(void)
{
    void *p = hidden(ptm_malloc(64));

    *size_word(p) = 16 | 1;
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

static void realloc_mapped_freed(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20));

    ptm_free(p);
    if (ptm_realloc(p, 100))
        _exit(3);
}

static void realloc_freed(void)
{
    char *p = large();

    ptm_free(p);
    if (ptm_realloc(p, 5000))
        _exit(3);
}

static const struct misuse {
    const char *name;
    void (*run)(void);
    const char *message;
} misuses[] = {
    {"double_free_cached", double_free_cached, "free(): double free detected"},
    {"double_free_cached_later", double_free_cached_later, "free(): double free detected"},
    {"double_free_parked", double_free_parked, "free(): double free detected"},
    {"double_free_fast", double_free_fast, "free(): double free detected"},
    {"double_free_large", double_free_large, "free(): double free or corruption (!prev)"},
    {"double_free_top", double_free_top, "free(): double free or corruption (top)"},
    {"double_free_mapped", double_free_mapped, "free(): double free of a mapped chunk"},
    {"double_free_mapped_later", double_free_mapped_later, "free(): double free of a mapped chunk"},
    {"misaligned", misaligned, "free(): invalid pointer"},
    {"interior", interior, "free(): invalid size"},
    {"interior_plausible", interior_plausible, "free(): invalid next size"},
    {"interior_plausible_large", interior_plausible_large,
     "free(): double free or corruption (!prev)"},
    {"outside_plausible", outside_plausible, "free(): invalid pointer"},
    {"on_the_stack", on_the_stack, "free(): invalid size"},
    {"size_too_small", size_too_small, "free(): invalid size"},
    {"size_unaligned", size_unaligned, "free(): invalid size"},
    {"size_wraps", size_wraps, "free(): invalid pointer"},
    {"size_out_of_heap", size_out_of_heap, "free(): double free or corruption (out)"},
    {"next_size_overwritten", next_size_overwritten, "free(): invalid next size"},
    {"small_size_reaches_end", small_size_reaches_end, "free(): double free or corruption (top)"},
    {"small_size_beyond_end", small_size_beyond_end, "free(): double free or corruption (out)"},
    {"small_next_says_free", small_next_says_free, "free(): double free or corruption (!prev)"},
    {"forged_mapping", forged_mapping, "free(): invalid pointer of a mapped chunk"},
    {"forged_mapping_of_pages", forged_mapping_of_pages,
     "free(): invalid pointer of a mapped chunk"},
    {"forged_arena", forged_arena, "invalid arena of a chunk"},
    {"forged_arena_readable", forged_arena_readable, "invalid arena of a chunk"},
    {"cached_link_overwritten", cached_link_overwritten,
     "malloc(): unaligned link in a thread cache"},
    {"fast_link_overwritten", fast_link_overwritten, "malloc(): unaligned link in a fast bin"},
    {"fast_link_seen_by_free", fast_link_seen_by_free, "free(): unaligned link in a fast bin"},
    {"fast_link_seen_by_trim", fast_link_seen_by_trim, "consolidate: unaligned link in a fast bin"},
    {"fast_link_seen_by_mallinfo", fast_link_seen_by_mallinfo, "unaligned link in a fast bin"},
    {"fast_link_seen_by_fork", fast_link_seen_by_fork, "fork: unaligned link in a fast bin"},
    {"fast_size_overwritten", fast_size_overwritten,
     "malloc(): invalid size of a chunk in a fast bin"},
    {"fast_size_seen_by_trim", fast_size_seen_by_trim,
     "consolidate: invalid size of a chunk in a fast bin"},
    {"cached_link_seen_by_free", cached_link_seen_by_free,
     "free(): unaligned link in a thread cache"},
    {"bin_link_overwritten", bin_link_overwritten, "unsorted double linked list corrupted"},
    {"sorted_link_overwritten", sorted_link_overwritten, "corrupted double-linked list"},
    {"skip_link_overwritten", skip_link_overwritten, "corrupted size list of a large bin"},
    {"free_size_overwritten", free_size_overwritten, "corrupted size vs. prev_size"},
    {"unsorted_size_overwritten", unsorted_size_overwritten,
     "malloc(): invalid size in the unsorted bin"},
    {"unsorted_foot_overwritten", unsorted_foot_overwritten,
     "malloc(): mismatching next->prev_size in the unsorted bin"},
    {"unsorted_in_use", unsorted_in_use, "malloc(): invalid next->prev_inuse in the unsorted bin"},
    {"sorted_size_overwritten", sorted_size_overwritten, "malloc(): invalid size in a bin"},
    {"prev_size_overwritten", prev_size_overwritten, "corrupted size vs. prev_size while merging"},
    {"top_overwritten", top_overwritten, "malloc(): corrupted top size"},
    {"break_moved_back", break_moved_back, "the break was moved back into the heap"},
    {"realloc_forged_mapping", realloc_forged_mapping,
     "realloc(): invalid pointer of a mapped chunk"},
    {"realloc_misaligned", realloc_misaligned, "realloc(): invalid pointer"},
    {"realloc_bad_size", realloc_bad_size, "realloc(): invalid old size"},
    {"realloc_next_overwritten", realloc_next_overwritten, "realloc(): invalid next size"},
    {"realloc_mapped_freed", realloc_mapped_freed, "realloc(): the memory is free"},
    {"realloc_freed", realloc_freed, "realloc(): the memory is free"},
};

/* Runs `misuse` in a child and returns how it ended; what it wrote is in `said`. */
static int run(const struct misuse *misuse, char *said, size_t size)
{
    size_t used = 0;
    int ends[2], status;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        alarm(10);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        misuse->run();
        _exit(0);
    }
    close(ends[1]);
    while (used < size - 1 && (n = read(ends[0], said + used, size - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_misuse(void **state)
{
    const struct misuse *misuse = *state;
    char said[1024];
    int status = run(misuse, said, sizeof said);

    assert_true(WIFSIGNALED(status));
    if (!strstr(said, misuse->message))
        fail_msg("'%s' is not in what it said: '%s'", misuse->message, said);
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

int main(void)
{
    enum { COUNT = sizeof misuses / sizeof misuses[0] };
    struct CMUnitTest tests[COUNT];

    for (int i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){misuses[i].name, test_misuse, NULL, NULL,
                                       (void *)(uintptr_t)&misuses[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
