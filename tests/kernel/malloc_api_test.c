/* Documented results, errno and limits of the malloc interface. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_shared.h"
#include "kmem.h"
#include "malloc/slub_malloc.h"

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
    size_t before = slub_mallinfo2().hblks;
    char *p = slub_malloc((size_t)40 << 20), *many[600];

    (void)state;
    assert_int_equal(slub_mallinfo2().hblks, before + 1);
    assert_true(slub_mallinfo2().hblkhd >= (size_t)40 << 20);
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
    for (size_t i = 0; i < 600; i++)
        many[i] = slub_malloc((size_t)5 << 20);
    for (size_t i = 0; i < 600; i++)
        slub_free(many[i * 7 % 600]);
    assert_int_equal(slub_mallinfo2().hblks, before);
}

static void test_mallopt(void **state)
{
    (void)state;
    assert_int_equal(slub_mallopt(M_MXFAST, 161), 0);
    assert_int_equal(slub_mallopt(M_MXFAST, -1), 0);
    assert_int_equal(slub_mallopt(M_MXFAST, 160), 1);
    assert_int_equal(slub_mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    assert_int_equal(slub_mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    assert_int_equal(slub_mallopt(M_ARENA_TEST, 0), 0);
    assert_int_equal(slub_mallopt(M_ARENA_MAX, 16), 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_SHARED_TESTS,
        cmocka_unit_test(test_usable_size),
        cmocka_unit_test(test_calloc_clears_used_memory),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_mallopt),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_mallinfo),
        cmocka_unit_test(test_malloc_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
