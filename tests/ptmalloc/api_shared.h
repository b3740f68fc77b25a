/*
 * What malloc.h and the manual promise of every malloc: compiled once for each allocator of our own, under
 * ptmalloc's names (see tests/kernel/as_ptmalloc).
 */
#ifndef API_SHARED_H
#define API_SHARED_H

void test_limits(void **state);
void test_bad_alignment(void **state);
void test_alignment(void **state);
void test_pages(void **state);
void test_small_answers(void **state);
void test_realloc_keeps_contents(void **state);
void test_malloc_stats(void **state);

#define API_SHARED_TESTS                                                                     \
    cmocka_unit_test(test_limits), cmocka_unit_test(test_bad_alignment),                     \
        cmocka_unit_test(test_alignment), cmocka_unit_test(test_pages),                      \
        cmocka_unit_test(test_small_answers), cmocka_unit_test(test_realloc_keeps_contents), \
        cmocka_unit_test(test_malloc_stats)

#endif
