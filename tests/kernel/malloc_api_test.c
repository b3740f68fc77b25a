/* Documented results, errno and limits of the malloc interface. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_shared.h"
#include "config.h"
#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "page/page.h"
#include "support.h"

/* Every request fits, at most a fifth is wasted up to 32 KiB, and all of it can be written. */
static void test_usable_size(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 40000; bytes += 1 + bytes / 64) {
        void *p = slub_malloc(bytes);
        size_t usable = slub_malloc_usable_size(p);

        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(usable >= bytes);
        if (bytes <= 32768)
            assert_in_range(usable, bytes, bytes + bytes / 4 + 16);
        memset(p, 0xa5, usable);
        slub_free(p);
    }
    assert_int_equal(kmem_check(), 0);
}

static void test_calloc_clears_used_memory(void **state)
{
    (void)state;
    for (size_t bytes = 16; bytes < (size_t)6 << 20; bytes = bytes * 3 + 8) {
        unsigned char *p = slub_malloc(bytes);

        memset(p, 0xff, bytes);
        slub_free(p);
        p = slub_calloc(1, bytes);
        for (size_t i = 0; i < bytes; i++)
            if (p[i])
                fail_msg("byte %zu of %zu is %u", i, bytes, p[i]);
        slub_free(p);
    }
}

static void test_mapped(void **state)
{
    size_t before = slub_mallinfo2().hblks, bytes = slub_mallinfo2().hblkhd;
    char *p = slub_malloc((size_t)40 << 20), *many[600];

    (void)state;
    assert_int_equal(slub_mallinfo2().hblks, before + 1);
    assert_int_equal(slub_mallinfo2().hblkhd - bytes, (size_t)40 << 20);
    p[0] = 'a';
    p[((size_t)40 << 20) - 1] = 'z';
    p = slub_realloc(p, (size_t)90 << 20);
    assert_int_equal(p[0], 'a');
    assert_int_equal(p[((size_t)40 << 20) - 1], 'z');
    p = slub_realloc(p, (size_t)4 << 20);
    assert_int_equal(p[0], 'a');
    p = slub_realloc(p, 100);
    assert_int_equal(p[0], 'a');
    slub_free(p);
    assert_int_equal(slub_mallinfo2().hblks, before);
    assert_int_equal(slub_mallinfo2().hblkhd, bytes);
    for (size_t i = 0; i < 600; i++)
        many[i] = slub_malloc((size_t)5 << 20);
    for (size_t i = 0; i < 600; i++)
        slub_free(many[i * 7 % 600]);
    assert_int_equal(slub_mallinfo2().hblks, before);
}

/* Whole blocks up to 256 KiB, no more than the size takes above. */
static size_t pages_held(size_t bytes)
{
    size_t pages = (bytes + 4095) / 4096, block = 1;

    while (block < pages)
        block *= 2;
    return pages <= 64 ? block : pages;
}

static void test_large_sizes(void **state)
{
    (void)state;
    for (size_t bytes = 33000; bytes < (size_t)2 << 20; bytes += bytes / 5 + 1) {
        size_t pages = pages_held(bytes), before = slub_mallinfo2().uordblks;
        char *p = slub_malloc(bytes);

        assert_int_equal(slub_malloc_usable_size(p), pages * 4096);
        assert_int_equal(slub_mallinfo2().uordblks - before, pages * 4096);
        memset(p, 1, pages * 4096);
        slub_free(p);
    }
    assert_int_equal(kmem_check(), 0);
}

/* Shrinking gives the end back; growing takes what is free behind, and moves only if there is none. */
static void test_large_realloc(void **state)
{
    size_t before = slub_mallinfo2().uordblks, moves = 0;
    char *p = slub_malloc(1100000), *q;

    (void)state;
    memset(p, 7, 1100000);
    q = slub_realloc(p, 500000);
    assert_ptr_equal(q, p);
    assert_int_equal(slub_mallinfo2().uordblks - before, (500000 + 4095) / 4096 * 4096);
    q = slub_realloc(p, 1000000);
    assert_ptr_equal(q, p);
    memset(p, 8, 1000000);
    /* Appending little by little copies the block a few times, not every time. */
    p = slub_realloc(p, 40000);
    for (size_t bytes = 40000; bytes < (size_t)2 << 20; bytes += 3000) {
        q = slub_realloc(p, bytes);
        moves += q != p;
        p = q;
        assert_int_equal(p[39999], 8);
    }
    assert_in_range(moves, 0, 40);
    slub_free(p);
    assert_int_equal(slub_mallinfo2().uordblks, before);
    assert_int_equal(kmem_check(), 0);
}

static void test_mallopt_results(void **state)
{
    (void)state;
    assert_int_equal(slub_mallopt(M_MXFAST, 161), 0);
    assert_int_equal(slub_mallopt(M_MXFAST, -1), 0);
    assert_int_equal(slub_mallopt(M_MXFAST, 160), 1);
    assert_int_equal(slub_mallopt(M_ARENA_TEST, 0), 1);
    assert_int_equal(slub_mallopt(M_ARENA_MAX, 16), 1);
    assert_int_equal(slub_mallopt(M_CHECK_ACTION, 3), 1);
    assert_int_equal(slub_mallopt(-100, 1), 1);
}

static size_t mappings_for(size_t bytes)
{
    size_t before = slub_mallinfo2().hblks, after;
    void *p = slub_malloc(bytes);

    after = slub_mallinfo2().hblks;
    slub_free(p);
    return after - before;
}

static void test_mallopt_mmap(void **state)
{
    (void)state;
    assert_int_equal(mappings_for(100000), 0);
    assert_int_equal(mappings_for(3 << 20), 1);
    assert_int_equal(slub_mallopt(M_MMAP_THRESHOLD, 100000), 1);
    assert_int_equal(mappings_for(99999), 0);
    assert_int_equal(mappings_for(100000), 1);
    assert_int_equal(slub_mallopt(M_MMAP_THRESHOLD, 4 << 20), 1);
    assert_int_equal(mappings_for(3 << 20), 0);
    assert_int_equal(slub_mallopt(M_MMAP_THRESHOLD, 1), 1); /* what slabs serve stays there */
    assert_int_equal(mappings_for(32768), 0);
    assert_int_equal(mappings_for(32769), 1);
    assert_int_equal(slub_mallopt(M_MMAP_MAX, 0), 1);
    assert_int_equal(mappings_for(4 << 20), 0);
    assert_int_equal(mappings_for(5 << 20), 1);        /* no block of pages is that large */
    assert_int_equal(slub_mallopt(M_MMAP_MAX, -1), 1); /* less than none: none */
    assert_int_equal(mappings_for(4 << 20), 0);
    assert_int_equal(slub_mallopt(M_MMAP_MAX, INT_MAX), 1);
    assert_int_equal(mappings_for(4 << 20), 1);
    assert_int_equal(slub_mallopt(M_MMAP_THRESHOLD, (2 << 20) + 1), 1);
    assert_int_equal(kmem_check(), 0);
}

static bool is_filled(const unsigned char *p, size_t bytes, int with)
{
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != with)
            return false;
    return true;
}

static void test_mallopt_perturb(void **state)
{
    static const size_t sizes[] = {24, 500, 20000, 100000};

    (void)state;
    assert_int_equal(slub_mallopt(M_PERTURB, 0x1a5), 1);
    for (size_t i = 0; i < 4; i++) {
        unsigned char *p = slub_malloc(sizes[i]), *q;

        assert_true(is_filled(p, sizes[i], 0x5a));
        memset(p, 1, sizes[i]);
        q = slub_malloc(sizes[i]);
        slub_free(p);
        if (!kmem_config.debug)
            assert_true(is_filled(p + 8, 8, 0xa5)); /* still mapped, and below any link */
        slub_free(q);
        p = slub_calloc(1, sizes[i]);
        assert_true(is_filled(p, sizes[i], 0));
        slub_free(p);
        p = slub_memalign(8192, sizes[i]);
        assert_true(is_filled(p, sizes[i], 0x5a));
        slub_free(p);
    }
    assert_int_equal(slub_mallopt(M_PERTURB, 0), 1);
    assert_int_equal(kmem_check(), 0);
}

/* Bytes left after sixteen blocks of 2 MiB were freed. */
static size_t present_after_free(void)
{
    struct page_stats pages;
    void *p[16];

    slub_malloc_trim(0);
    for (int i = 0; i < 16; i++)
        memset(p[i] = slub_malloc(2 << 20), 1, 2 << 20);
    for (int i = 0; i < 16; i++)
        slub_free(p[i]);
    kmem_pages_stats(&pages);
    return pages.present_bytes;
}

static void test_mallopt_trim(void **state)
{
    size_t lately_used = present_after_free();

    (void)state;
    assert_true(lately_used >= 16 << 20); /* by default what was in use lately stays */
    assert_int_equal(slub_mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    assert_in_range(present_after_free(), 0, 10 << 20);
    assert_int_equal(slub_mallopt(M_TOP_PAD, 12 << 20), 1);
    assert_in_range(present_after_free(), 12 << 20, 20 << 20);
    assert_int_equal(slub_mallopt(M_TOP_PAD, 0), 1);
    assert_int_equal(slub_mallopt(M_TRIM_THRESHOLD, -1), 1);
    assert_true(present_after_free() >= 28 << 20);
    assert_int_equal(kmem_check(), 0);
}

static void test_trim(void **state)
{
    static char *kept[2000];
    size_t before;

    (void)state;
    for (size_t i = 0; i < 2000; i++)
        memset(kept[i] = slub_malloc(5000), 1, 5000);
    before = slub_mallinfo2().arena;
    for (size_t i = 0; i < 2000; i++)
        if (i % 100)
            slub_free(kept[i]);
    assert_int_equal(slub_malloc_trim(0), 1);
    for (size_t i = 0; i < 2000; i += 100) {
        assert_int_equal(kept[i][4999], 1);
        slub_free(kept[i]);
    }
    slub_malloc_trim(0);
    assert_true(slub_mallinfo2().arena < before / 4);
    assert_int_equal(kmem_check(), 0);
}

/* So much as is asked for stays present, and not much less than that. */
static void test_trim_keeps(void **state)
{
    enum { BLOCKS = 32, KEPT = 24 << 20 };
    struct page_stats pages;
    void *p[BLOCKS];

    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        memset(p[i] = slub_malloc(2 << 20), 1, 2 << 20);
    for (int i = 0; i < BLOCKS; i++)
        slub_free(p[i]);
    assert_int_equal(slub_malloc_trim(KEPT), 1);
    kmem_pages_stats(&pages);
    assert_in_range(pages.present_bytes, KEPT - (4 << 20), KEPT);
}

static void test_mallinfo(void **state)
{
    struct mallinfo2 m = slub_mallinfo2();
    struct mallinfo narrow = slub_mallinfo();
    void *p = slub_malloc(200000);

    (void)state;
    assert_int_equal(m.arena, m.uordblks + m.fordblks);
    assert_int_equal(narrow.arena, m.arena);
    assert_true(slub_mallinfo2().uordblks >= m.uordblks + 200000);
    slub_free(p);
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
    void *p = slub_malloc(3000);

    (void)state;
    assert_int_equal(slub_malloc_info(1, stream), EINVAL);
    assert_int_equal(slub_malloc_info(0, stream), 0);
    fclose(stream);
    assert_int_equal(strncmp(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", 40), 0);
    assert_non_null(strstr(text, "<total type=\"mmap\" count=\""));
    assert_int_equal(count(text, "<heap nr"), count(text, "</heap>"));
    assert_int_equal(count(text, "<sizes>"), count(text, "</sizes>"));
    assert_string_equal(text + bytes - 10, "</malloc>\n");
    free(text);
    slub_free(p);
}

/* What a stream may do when it is written to: allocate, and here of a class that is not there yet. */
static ssize_t write_and_allocate(void *cookie, const char *text, size_t bytes)
{
    (void)cookie;
    (void)text;
    slub_free(slub_malloc(30000));
    slub_malloc_trim(0);
    return (ssize_t)bytes;
}

static void info_to_allocating_stream(void)
{
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_and_allocate});

    alarm(20);
    setvbuf(stream, NULL, _IONBF, 0);
    for (size_t bytes = 1; bytes < 3000; bytes *= 2)
        slub_malloc(bytes);
    _exit(slub_malloc_info(0, stream));
}

static void test_malloc_info_allocates(void **state)
{
    (void)state;
    assert_int_equal(ending_of(info_to_allocating_stream).status, 0);
}

/* Of an object that is cut to half of its size, or less, a smaller one is made. */
static void test_realloc_to_half(void **state)
{
    char *p = slub_malloc(64), *q;

    (void)state;
    assert_int_equal(slub_malloc_usable_size(p), 64);
    strcpy(p, "contents");
    assert_ptr_equal(slub_realloc(p, 33), p);
    q = slub_realloc(p, 32);
    assert_int_equal(slub_malloc_usable_size(q), 32);
    assert_string_equal(q, "contents");
    slub_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_SHARED_TESTS,
        cmocka_unit_test(test_usable_size),
        cmocka_unit_test(test_calloc_clears_used_memory),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_large_sizes),
        cmocka_unit_test(test_large_realloc),
        cmocka_unit_test(test_mallopt_results),
        cmocka_unit_test(test_mallopt_mmap),
        cmocka_unit_test(test_mallopt_perturb),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_trim_keeps),
        cmocka_unit_test(test_mallinfo),
        cmocka_unit_test(test_malloc_info),
        cmocka_unit_test(test_malloc_info_allocates),
        cmocka_unit_test(test_realloc_to_half),
        cmocka_unit_test(test_mallopt_trim), /* last: what it changes cannot be put back */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
