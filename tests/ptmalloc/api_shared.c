#include "api_shared.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ptmalloc.h"

/* The compiler knows what malloc does with absurd sizes; this hides them from it. */
static volatile size_t huge = SIZE_MAX;

#define ASSERT_REFUSED(call, error)     \
    do {                                \
        errno = 0;                      \
        assert_null(call);              \
        assert_int_equal(errno, error); \
    } while (0)

void test_limits(void **state)
{
    char *p = ptm_malloc(10);

    (void)state;
    strcpy(p, "unharmed");
    ASSERT_REFUSED(ptm_malloc(huge), ENOMEM);
    ASSERT_REFUSED(ptm_malloc(huge / 2 + 1), ENOMEM);
    ASSERT_REFUSED(ptm_malloc(huge / 2 - 64), ENOMEM);
    ASSERT_REFUSED(ptm_calloc(huge / 2, 3), ENOMEM);
    ASSERT_REFUSED(ptm_calloc(huge, 1), ENOMEM);
    ASSERT_REFUSED(ptm_realloc(p, huge), ENOMEM);
    ASSERT_REFUSED(ptm_realloc(p, huge / 2 - 64), ENOMEM);
    ASSERT_REFUSED(ptm_reallocarray(p, huge / 2, 3), ENOMEM);
    ASSERT_REFUSED(ptm_memalign(4096, huge - 4096), ENOMEM);
    ASSERT_REFUSED(ptm_memalign(huge / 2 + 1, 16), ENOMEM);
    ASSERT_REFUSED(ptm_pvalloc(huge), ENOMEM);
    ASSERT_REFUSED(ptm_pvalloc(huge / 2), ENOMEM);
    ASSERT_REFUSED(ptm_valloc(huge), ENOMEM);
    assert_string_equal(p, "unharmed");
    ptm_free(p);
    assert_int_equal(ptm_check(), 0);
}

void test_bad_alignment(void **state)
{
    static char there;
    void *p = &there;

    (void)state;
    ASSERT_REFUSED(ptm_aligned_alloc(24, 100), EINVAL);
    ASSERT_REFUSED(ptm_aligned_alloc(0, 100), EINVAL);
    ASSERT_REFUSED(ptm_memalign(huge, 100), EINVAL);
    errno = 0;
    assert_int_equal(ptm_posix_memalign(&p, 0, 100), EINVAL);
    assert_int_equal(ptm_posix_memalign(&p, 4, 100), EINVAL);
    assert_int_equal(ptm_posix_memalign(&p, 24, 100), EINVAL);
    assert_int_equal(ptm_posix_memalign(&p, 64, huge), ENOMEM);
    assert_ptr_equal(p, &there);
    assert_int_equal(errno, 0);
    p = ptm_memalign(48, 100); /* takes the next power of two */
    assert_int_equal((uintptr_t)p % 64, 0);
    ptm_free(p);
}

void test_alignment(void **state)
{
    void *none;

    (void)state;
    for (size_t align = 8; align <= (size_t)8 << 20; align *= 2) {
        for (size_t bytes = 1; bytes < 300000; bytes = bytes * 7 + 3) {
            void *p = NULL, *q = ptm_aligned_alloc(align, bytes);

            assert_int_equal(ptm_posix_memalign(&p, align, bytes), 0);
            assert_int_equal((uintptr_t)p % align, 0);
            assert_int_equal((uintptr_t)q % align, 0);
            memset(p, 1, bytes);
            memset(q, 2, bytes);
            q = ptm_realloc(q, bytes + 100);
            assert_int_equal(*(char *)q, 2);
            ptm_free(p);
            ptm_free(q);
        }
        assert_non_null(none = ptm_aligned_alloc(align, 0));
        (void)ptm_malloc_usable_size(none);
        ptm_free(none);
    }
    assert_int_equal(ptm_check(), 0);
}

void test_pages(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = ptm_valloc(100), *q = ptm_pvalloc(100);

    (void)state;
    assert_int_equal((uintptr_t)p % page, 0);
    assert_int_equal((uintptr_t)q % page, 0);
    assert_true(ptm_malloc_usable_size(q) >= page);
    ptm_free(p);
    ptm_free(q);
}

void test_small_answers(void **state)
{
    char *p = ptm_malloc(0), *q = ptm_malloc(0);

    (void)state;
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    assert_null(ptm_realloc(p, 0));
    ptm_free(q);
    errno = 77;
    ptm_free(NULL);
    ptm_free(ptm_malloc((size_t)1 << 20));
    ptm_free(ptm_malloc((size_t)30 << 20));
    ptm_free(ptm_malloc(100));
    assert_int_equal(errno, 77);
    assert_int_equal(ptm_malloc_usable_size(NULL), 0);
    ptm_free(ptm_realloc(NULL, 24));
}

void test_realloc_keeps_contents(void **state)
{
    unsigned char *p = ptm_malloc(1);
    size_t size = 1;

    (void)state;
    p[0] = 0;
    for (size_t next = 3; next < (size_t)5 << 20; next = next * 5 / 3) {
        p = ptm_realloc(p, next);
        for (size_t i = 0; i < size; i += 1 + size / 999)
            assert_int_equal(p[i], (unsigned char)(i * 13));
        for (size_t i = 0; i < next; i++)
            p[i] = (unsigned char)(i * 13);
        size = next;
    }
    for (; size > 1; size = size * 3 / 5) {
        p = ptm_realloc(p, size);
        for (size_t i = 0; i < size; i += 1 + size / 999)
            assert_int_equal(p[i], (unsigned char)(i * 13));
    }
    ptm_free(p);
    assert_int_equal(ptm_check(), 0);
}

/* What malloc_stats() writes to standard error. */
static void stats_text(char *text, size_t bytes)
{
    int saved = dup(STDERR_FILENO);
    FILE *file = tmpfile();

    dup2(fileno(file), STDERR_FILENO);
    ptm_malloc_stats();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

/* It tells what mallinfo2() does. */
void test_malloc_stats(void **state)
{
    static char text[1 << 16];
    char total[200], *most;
    void *small = ptm_malloc(50000), *mapped = ptm_malloc((size_t)40 << 20);
    struct mallinfo2 m = ptm_mallinfo2();

    (void)state;
    assert_true(m.hblkhd >= (size_t)40 << 20);
    stats_text(text, sizeof text);
    assert_int_equal(strncmp(text, "Arena 0:\nsystem bytes     = ", 28), 0);
    snprintf(total, sizeof total,
             "Total (incl. mmap):\nsystem bytes     = %10zu\nin use bytes     = %10zu\n",
             m.arena + m.hblkhd, m.uordblks + m.hblkhd);
    if (!strstr(text, total))
        fail_msg("expected '%s', got '%s'", total, text);
    assert_non_null(strstr(text, "max mmap regions = "));
    most = strstr(text, "\nmax mmap bytes   = ");
    assert_non_null(most);
    assert_true(strtoull(strchr(most, '=') + 1, NULL, 10) >= (size_t)40 << 20);
    ptm_free(mapped);
    ptm_free(small);
}
