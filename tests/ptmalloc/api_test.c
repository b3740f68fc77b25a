/* Documented results, errno and limits of every public function. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_shared.h"
#include "os.h"
#include "ptmalloc.h"

/*
 * The requests that share a chunk size are those of the original: 24 bytes, then 16 more each
 * time.
 */
static void test_usable_size(void **state)
{
    (void)state;
    void *least = ptm_realloc(NULL, 24);
    assert_int_equal(ptm_malloc_usable_size(least), 24);
    ptm_free(least);
    for (size_t bytes = 0; bytes < 100000; bytes += 1 + bytes / 16) {
        size_t chunk = (bytes + 8 + 15) / 16 * 16;
        void *p = ptm_malloc(bytes);

        assert_in_range(ptm_malloc_usable_size(p), (chunk < 32 ? 32 : chunk) - 8, chunk + 24);
        ptm_free(p);
    }
}

static bool is_zero(const char *p, size_t bytes)
{
    return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

static void test_calloc_clears_used_memory(void **state)
{
    (void)state;
    for (size_t bytes = 16; bytes < (size_t)3 << 20; bytes = bytes * 3 + 8) {
        char *p = ptm_malloc(bytes);

        memset(p, 0xff, bytes);
        ptm_free(p);
        p = ptm_calloc(1, bytes);
        assert_true(is_zero(p, bytes));
        ptm_free(p);
    }
}

/* Where a block has grown into the top, which malloc never handed out. */
static bool clears_what_realloc_took(void)
{
    const size_t bytes = 60000;
    char *p, *grown;

    ptm_mallopt(M_TOP_PAD, 1 << 20);
    p = ptm_malloc(5000);
    grown = ptm_realloc(p, bytes);
    if (grown != p)
        return false;
    memset(grown, 0xff, bytes);
    ptm_free(grown);
    p = ptm_calloc(1, bytes);
    return p == grown && is_zero(p, bytes);
}

static void *no_break(intptr_t bytes)
{
    (void)bytes;
    return NULL;
}

static bool same_heap(const char *p, const char *q)
{
    return (uintptr_t)p >> 26 == (uintptr_t)q >> 26;
}

/*
 * At the end of a 64 MiB heap that closed when it was full, gave a block from its rest, and is the newest
 * again.
 */
static bool clears_reopened_heap(void)
{
    const size_t block = 1 << 20, rest = 20000;
    char *first, *last, *before, *p;

    ptm_os.grow = no_break;
    ptm_mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ptm_mallopt(M_TRIM_THRESHOLD, 1 << 30);
    first = last = before = ptm_malloc(block);
    while (same_heap(first, last)) {
        before = last;
        last = ptm_malloc(block);
    }
    p = ptm_malloc(rest);
    if (!same_heap(first, p))
        return false;
    memset(p, 0xff, rest);
    ptm_free(p);
    ptm_free(last);
    ptm_free(before);
    p = ptm_calloc(1, block + rest);
    return p == before && is_zero(p, block + rest);
}

/* Asks in a child that has not yet made a call, whose heap and mallopt() are its own. */
static void assert_in_child(bool (*question)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(question() && ptm_check() == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_calloc_clears_where_the_top_is_dirty(void **state)
{
    (void)state;
    assert_in_child(clears_what_realloc_took);
    assert_in_child(clears_reopened_heap);
}

static void test_mapped(void **state)
{
    size_t before = ptm_mallinfo2().hblks;
    char *p;

    (void)state;
    assert_int_equal(ptm_mallopt(M_MMAP_THRESHOLD, 128 << 10), 1);
    ptm_malloc_trim(0);
    p = ptm_malloc((size_t)40 << 20);
    assert_int_equal(ptm_mallinfo2().hblks, before + 1);
    assert_true(ptm_mallinfo2().hblkhd >= (size_t)40 << 20);
    p[0] = 'a';
    p[((size_t)40 << 20) - 1] = 'z';
    p = ptm_realloc(p, (size_t)90 << 20);
    assert_int_equal(p[0], 'a');
    assert_int_equal(p[((size_t)40 << 20) - 1], 'z');
    p = ptm_realloc(p, (size_t)2 << 20);
    assert_int_equal(p[0], 'a');
    p = ptm_realloc(p, 100);
    assert_int_equal(p[0], 'a');
    ptm_free(p);
    assert_int_equal(ptm_mallinfo2().hblks, before);
}

static void test_mallopt(void **state)
{
    (void)state;
    assert_int_equal(ptm_mallopt(M_MXFAST, 161), 0);
    assert_int_equal(ptm_mallopt(M_MXFAST, -1), 0);
    assert_int_equal(ptm_mallopt(M_MXFAST, 0), 1);
    assert_int_equal(ptm_check(), 0);
    assert_int_equal(ptm_mallopt(M_MXFAST, 160), 1);
    assert_int_equal(ptm_mallopt(M_MXFAST, 128), 1);
    assert_int_equal(ptm_mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    assert_int_equal(ptm_mallopt(M_TOP_PAD, 4096), 1);
    assert_int_equal(ptm_mallopt(M_MMAP_THRESHOLD, (32 << 20) + 1), 0);
    assert_int_equal(ptm_mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    assert_int_equal(ptm_mallopt(M_MMAP_MAX, 100), 1);
    assert_int_equal(ptm_mallopt(M_CHECK_ACTION, 3), 1);
    assert_int_equal(ptm_mallopt(M_ARENA_TEST, 0), 1);
    assert_int_equal(ptm_mallopt(M_ARENA_TEST, 2), 1);
    assert_int_equal(ptm_mallopt(M_ARENA_MAX, 0), 1);
    assert_int_equal(ptm_mallopt(M_ARENA_MAX, 16), 1);
    assert_int_equal(ptm_mallopt(M_NLBLKS, 1), 1);
    assert_int_equal(ptm_mallopt(M_GRAIN, 1), 1);
    assert_int_equal(ptm_mallopt(M_KEEP, 1), 1);
}

static void test_perturb(void **state)
{
    unsigned char *p;

    (void)state;
    assert_int_equal(ptm_mallopt(M_PERTURB, 0x55), 1);
    p = ptm_malloc(200);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(p[i], 0x55 ^ 0xff);
    ptm_free(p);
    /* The links of the free list overwrite the start, nothing overwrites the rest. */
    for (size_t i = 48; i < 180; i++)
        assert_int_equal(p[i], 0x55);
    p = ptm_calloc(1, 200);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(p[i], 0);
    ptm_free(p);
    assert_int_equal(ptm_mallopt(M_PERTURB, 0), 1);
    p = ptm_malloc(200);
    ptm_free(p);
    assert_int_equal(ptm_check(), 0);
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%*u %zu", &pages), 1);
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Pages that nobody has written yet are zero: calloc leaves them alone, in a heap and in a mapping. */
static void test_calloc_leaves_fresh_pages_alone(void **state)
{
    const size_t bytes[] = {(size_t)8 << 20, (size_t)40 << 20};

    (void)state;
    ptm_mallopt(M_MMAP_THRESHOLD, 16 << 20);
    ptm_malloc_trim(0);
    for (size_t i = 0; i < 2; i++) {
        size_t before = resident_bytes();
        char *p = ptm_calloc(1, bytes[i]);

        assert_non_null(p);
        assert_int_equal(p[0] | p[bytes[i] / 2] | p[bytes[i] - 1], 0);
        assert_in_range(resident_bytes(), 0, before + bytes[i] / 4);
        ptm_free(p);
    }
}

static void test_trim(void **state)
{
    static char *kept[2000];
    struct mallinfo2 before, after;
    size_t resident;

    (void)state;
    for (size_t i = 0; i < 2000; i++)
        memset(kept[i] = ptm_malloc(5000), 1, 5000);
    for (size_t i = 0; i < 2000; i++)
        if (i % 100)
            ptm_free(kept[i]);
    before = ptm_mallinfo2();
    resident = resident_bytes();
    assert_int_equal(ptm_malloc_trim(0), 1);
    after = ptm_mallinfo2();
    assert_true(after.arena <= before.arena);
    /* Ten megabytes of which one block in a hundred is kept: free pages between them go, too. */
    assert_in_range(resident_bytes(), 0, resident - (6 << 20));
    for (size_t i = 0; i < 2000; i += 100) {
        assert_int_equal(kept[i][4999], 1);
        ptm_free(kept[i]);
    }
    assert_int_equal(ptm_malloc_trim(0), 1);
    assert_true(ptm_mallinfo2().arena < before.arena / 2);
    assert_int_equal(ptm_check(), 0);
}

/* A request for more than 32 KiB merges what is parked, though there is room for it as it is; one for less does not. */
static void test_large_requests_merge(void **state)
{
    enum { COUNT = 300 };
    void *small[COUNT], *room;
    size_t parked;

    (void)state;
    for (int i = 0; i < COUNT; i++)
        small[i] = ptm_malloc(60);
    room = ptm_malloc(100000);
    ptm_malloc(3000);
    ptm_free(room);
    for (int i = 0; i < COUNT; i++)
        ptm_free(small[i]);
    parked = ptm_mallinfo2().smblks;
    assert_in_range(parked, COUNT / 2, COUNT);
    ptm_free(ptm_malloc(20000));
    assert_int_equal(ptm_mallinfo2().smblks, parked);
    ptm_free(ptm_malloc(40000));
    assert_int_equal(ptm_mallinfo2().smblks, 0);
    assert_int_equal(ptm_check(), 0);
}

static void test_mallinfo(void **state)
{
    struct mallinfo2 before = ptm_mallinfo2(), after;
    struct mallinfo narrow;
    void *p = ptm_malloc(50000);

    (void)state;
    after = ptm_mallinfo2();
    narrow = ptm_mallinfo();
    assert_in_range(after.uordblks - before.uordblks, 50000, 50064);
    assert_int_equal(after.arena, after.uordblks + after.fordblks);
    assert_int_equal(narrow.arena, after.arena);
    assert_int_equal(narrow.uordblks, after.uordblks);
    assert_true(after.keepcost <= after.fordblks);
    ptm_free(p);
    assert_int_equal(ptm_mallinfo2().uordblks, before.uordblks);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

static void test_malloc_info(void **state)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    void *p = ptm_malloc(3000), *q = ptm_malloc(3000);

    (void)state;
    ptm_free(p);
    assert_int_equal(ptm_malloc_info(1, stream), EINVAL);
    assert_int_equal(ptm_malloc_info(0, stream), 0);
    fclose(stream);
    assert_int_equal(strncmp(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", 40), 0);
    assert_non_null(strstr(text, "<total type=\"mmap\" count=\""));
    assert_int_equal(count(text, "<heap nr"), count(text, "</heap>"));
    assert_int_equal(count(text, "<sizes>"), count(text, "</sizes>"));
    assert_string_equal(text + bytes - 10, "</malloc>\n");
    free(text);
    ptm_free(q);
}

static size_t number_after(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    assert_non_null(at);
    return strtoul(at + strlen(word), NULL, 10);
}

/* Every byte of every heap is in the dump's map once. */
static void test_dump(void **state)
{
    static char text[1 << 20];
    FILE *file = tmpfile();
    void *p[50];
    size_t bytes = 0;

    (void)state;
    for (size_t i = 0; i < 50; i++)
        p[i] = ptm_malloc(i * 100);
    for (size_t i = 0; i < 50; i += 2)
        ptm_free(p[i]);
    ptm_dump(fileno(file));
    for (size_t i = 1; i < 50; i += 2)
        ptm_free(p[i]);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, "\nchunk ")) != NULL; at++)
        bytes += number_after(at, " size ");
    assert_non_null(strstr(text, "state top"));
    assert_non_null(strstr(text, "state used"));
    assert_non_null(strstr(text, "state cached"));
    /* What the chunks leave is the heap's header. */
    assert_in_range(number_after(text, " system ") - bytes, 16, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, so that its children have a heap without a past. */
        cmocka_unit_test(test_calloc_clears_where_the_top_is_dirty),
        API_SHARED_TESTS,
        cmocka_unit_test(test_usable_size),
        cmocka_unit_test(test_calloc_clears_used_memory),
        cmocka_unit_test(test_calloc_leaves_fresh_pages_alone),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_large_requests_merge),
        cmocka_unit_test(test_mallinfo),
        cmocka_unit_test(test_malloc_info),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_mallopt),
        cmocka_unit_test(test_perturb),
        cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
