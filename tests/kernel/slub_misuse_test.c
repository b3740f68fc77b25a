/* Every wrong call ends in SIGABRT and one line that names it; each runs in a child of its own. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "slub/slub.h"

static char *volatile hidden; /* from the compiler */

static void expect(void (*misuse)(void), int signal, const char *message)
{
    struct ending e = ending_of(misuse);

    assert_int_equal(signal_of(&e), signal);
    assert_true(signal || e.status == 0);
    if (!strstr(e.said, message))
        fail_msg("expected '%s', got '%s'", message, e.said);
    assert_int_equal(strncmp(e.said, "slub: ", 6), 0);
}

static void kfree_twice(void)
{
    hidden = kmalloc(100, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden);
}

static void kfree_twice_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden);
}

static void kfree_interior(void)
{
    hidden = kmalloc(100, GFP_KERNEL);
    kfree(hidden + 8);
}

static void kfree_interior_large(void)
{
    hidden = kmalloc(100000, GFP_KERNEL);
    kfree(hidden + 4096);
}

/* By the fast path of free: its sheaf has room and holds something else. */
static void free_interior_of(size_t bytes, size_t at)
{
    char *first = slub_malloc(bytes);

    hidden = slub_malloc(bytes);
    slub_free(first);
    slub_free(hidden + at);
}

static void free_interior_48(void)
{
    free_interior_of(48, 16);
}

static void free_interior_64(void)
{
    free_interior_of(64, 16);
}

static void free_interior_112(void)
{
    free_interior_of(112, 96);
}

static void free_interior_1792(void)
{
    free_interior_of(1792, 1024);
}

static void free_unaligned(void)
{
    free_interior_of(64, 1);
}

static void kfree_stack(void)
{
    char here[64];

    hidden = kmalloc(1, GFP_KERNEL);
    hidden = here;
    kfree(hidden);
}

static void kfree_never_allocated(void)
{
    hidden = kmalloc(3 << 20, GFP_KERNEL);
    kfree(hidden);
    kfree(hidden + (1 << 20));
}

static void wrong_cache(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *b = kmem_cache_create("b", 64, 0, SLAB_NO_MERGE, NULL);

    kmem_cache_free(b, kmem_cache_alloc(a, GFP_KERNEL));
}

static void cache_free_twice(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden);
    kmem_cache_free(a, hidden);
}

static void cache_free_interior(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 72, 0, SLAB_NO_MERGE, NULL);

    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden + 16);
}

static void bulk_free_twice(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 72, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[2];

    p[0] = p[1] = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free_bulk(a, 2, p);
}

static void panic(void)
{
    kmem_cache_create("impossible", 0, 0, SLAB_PANIC, NULL);
}

static void destroy_with_objects(void)
{
    struct kmem_cache *a = kmem_cache_create("in use", 64, 0, SLAB_NO_MERGE, NULL);
    void *object = kmem_cache_alloc(a, GFP_KERNEL);
    char name[32];

    kmem_cache_destroy(a);
    /* The second line can only be written by a cache that still works. */
    snprintf(name, sizeof name, "object was %p\n", object);
    kmem_cache_free(a, object);
    object = kmem_cache_alloc(a, GFP_KERNEL);
    if (write(STDERR_FILENO, name, strlen(name)) < 0 || !object)
        _exit(3);
}

/* Live ones on a full slab and on a partial one; the free ones between them are not named. */
static void destroy_with_some_objects(void)
{
    struct kmem_cache *a = kmem_cache_create("some", 64, 0, SLAB_NO_MERGE, NULL);
    enum { OBJECTS = 300 };
    static const int live[] = {0, 1, 63, 64, 150, 255, 299};
    void *p[OBJECTS];
    char line[400];
    int used = 0;

    for (int i = 0; i < OBJECTS; i++)
        p[i] = kmem_cache_alloc(a, GFP_KERNEL);
    for (int i = 0, next = 0; i < OBJECTS; i++)
        if (i == live[next])
            used +=
                snprintf(line + used, sizeof line - (size_t)used, "expected %p\n", p[live[next++]]);
        else
            kmem_cache_free(a, p[i]);
    kmem_cache_destroy(a);
    if (write(STDERR_FILENO, line, (size_t)used) < 0)
        _exit(3);
}

static void free_twice(void)
{
    hidden = slub_malloc(100);
    slub_free(hidden);
    slub_free(hidden);
}

static void free_mapped_twice(void)
{
    hidden = slub_malloc((size_t)40 << 20);
    slub_free(hidden);
    slub_free(hidden);
}

static void free_stack(void)
{
    char here[64];

    hidden = slub_malloc(1);
    hidden = here;
    slub_free(hidden);
}

static void realloc_stack(void)
{
    char here[64];

    hidden = slub_malloc(1);
    hidden = here;
    hidden = slub_realloc(hidden, 100);
}

/* ---- debug=1: each in a child of its own, which has not started yet ---- */

/* Beside the knobs that the test was started with. */
static void debug_on(void)
{
    const char *given = getenv("HEAPMARK_SLUB");
    char knobs[200];

    snprintf(knobs, sizeof knobs, "%s%sdebug=1", given ? given : "", given && *given ? ":" : "");
    setenv("HEAPMARK_SLUB", knobs, 1);
}

static void debug_free_twice(void)
{
    void *other[40];

    debug_on();
    hidden = slub_malloc(100);
    for (int i = 0; i < 40; i++)
        other[i] = slub_malloc(100);
    slub_free(hidden);
    for (int i = 0; i < 40; i++)
        slub_free(other[i]);
    slub_free(hidden);
}

static void debug_cache_free_twice(void)
{
    struct kmem_cache *a;
    void *other;

    debug_on();
    a = kmem_cache_create("twice", 72, 0, SLAB_NO_SHEAVES, NULL);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    other = kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_free(a, hidden);
    kmem_cache_free(a, other);
    kmem_cache_free(a, hidden);
}

static void debug_write_past_end(void)
{
    debug_on();
    hidden = kmalloc(192, GFP_KERNEL);
    hidden[192] = 0;
    kfree(hidden);
}

static void debug_write_past_odd_end(void)
{
    struct kmem_cache *a;

    debug_on();
    a = kmem_cache_create("odd", 61, 0, 0, NULL);
    hidden = kmem_cache_zalloc(a, GFP_KERNEL);
    hidden[61] = 'x';
    kmem_cache_free(a, hidden);
}

static void debug_write_far_past_end(void)
{
    debug_on();
    hidden = slub_malloc(48);
    memset(hidden, 'x', 80);
    slub_free(hidden);
}

static void debug_write_after_free(void)
{
    debug_on();
    hidden = slub_malloc(1000);
    slub_free(hidden);
    hidden[999] = 'x';
    for (int i = 0; i < 2000; i++)
        (void)!slub_malloc(1000);
}

static void nothing(void *object)
{
    (void)object;
}

static void debug_write_past_constructed(void)
{
    struct kmem_cache *a;

    debug_on();
    a = kmem_cache_create("constructed", 64, 0, 0, nothing);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    memset(hidden, 'x', 64);
    kmem_cache_free(a, hidden); /* may write there before, and after */
    hidden[0] = 'y';
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
    hidden[64] = 'x';
    kmem_cache_free(a, hidden);
}

static void debug_check_sees_it(void)
{
    debug_on();
    hidden = slub_malloc(64);
    hidden[64] = 'x';
    if (kmem_check() != -1)
        _exit(3);
}

static void test_debug(void **state)
{
    static const struct {
        void (*misuse)(void);
        const char *message;
    } cases[] = {
        {debug_free_twice, "cache 'malloc-112': object was freed before: '0x"},
        {debug_cache_free_twice, "cache 'twice': object was freed before: '0x"},
        {debug_write_past_end, "cache 'kmalloc-192': written past the end of an object: '0x"},
        {debug_write_past_odd_end, "cache 'odd': written past the end of an object: '0x"},
        {debug_write_far_past_end, "cache 'malloc-48': written past the end of an object: '0x"},
        {debug_write_after_free, "cache 'malloc-1024': written to after it was freed: '0x"},
        {debug_write_past_constructed,
         "cache 'constructed': written past the end of an object: '0x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].misuse, SIGABRT, cases[i].message);
    expect(debug_check_sees_it, 0, "cache 'malloc-64': written past the end of an object: '0x");
}

/* ---- the first call of a program may be any ---- */

static void went_on(const void *got)
{
    if (!got || write(STDERR_FILENO, "slub: went on\n", 14) < 0)
        _exit(3);
}

static void first_pages(void)
{
    went_on((void *)__get_free_pages(GFP_KERNEL, 1));
}

static void first_vmalloc(void)
{
    went_on(vmalloc(10000));
}

static void first_kmalloc(void)
{
    went_on(kmalloc(100, GFP_KERNEL));
}

static void first_calloc(void)
{
    went_on(slub_calloc(10, 10000));
}

static void first_others(void)
{
    vm_unmap_aliases();
    slub_free(NULL);
    slub_mallopt(M_PERTURB, 0);
    went_on(slub_memalign(4096, 100));
}

static void test_first_calls(void **state)
{
    void (*const first[])(void) = {first_pages, first_vmalloc, first_kmalloc, first_calloc,
                                   first_others};

    (void)state;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        expect(first[i], 0, "slub: went on");
}

/* ---- usercopy ---- */

static struct kmem_cache *user_cache(void)
{
    return kmem_cache_create_usercopy("user", 100, 0, 0, 16, 32, NULL);
}

static void usercopy_before(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 15, 4, true);
}

static void usercopy_behind(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 40, 9, false);
}

static void usercopy_overflow(void)
{
    check_object_size((char *)kmem_cache_alloc(user_cache(), GFP_KERNEL) + 20, SIZE_MAX - 4, true);
}

/*
 * What lies in front of a slab's first object: where it is counted modulo the size of an object, with this
 * size and colour, it would be allowed.
 */
static void usercopy_in_front(void)
{
    struct kmem_cache *s = kmem_cache_create_usercopy("front", 48, 0, SLAB_NO_MERGE, 8, 16, NULL);
    struct slab *slab;

    do
        slab = slab_of(kmem_cache_alloc(s, GFP_KERNEL));
    while (s->path == PATH_SHEAF && slab->colour < 4);
    if (slab->colour)
        check_object_size(slab_base(slab) - 4, 12, true);
    else /* without sheaves nothing has a colour: the same of what was never handed out */
        check_object_size(slab_base(slab) + slab->fresh * s->size + 8, 12, true);
}

static void usercopy_never_handed_out(void)
{
    struct kmem_cache *s = kmem_cache_create_usercopy("fresh", 48, 0, SLAB_NO_MERGE, 8, 16, NULL);
    struct slab *slab = slab_of(kmem_cache_alloc(s, GFP_KERNEL));

    check_object_size(slab_base(slab) + slab->fresh * s->size + 8, 4, false);
}

static void usercopy_plain(void)
{
    struct kmem_cache *a = kmem_cache_create("plain", 100, 0, SLAB_NO_MERGE, NULL);

    check_object_size(kmem_cache_alloc(a, GFP_KERNEL), 1, true);
}

static void usercopy_kmalloc(void)
{
    check_object_size((char *)kmalloc(64, GFP_KERNEL) + 60, 5, true);
}

static void usercopy_malloc(void)
{
    check_object_size((char *)slub_malloc(64) + 60, 5, true);
}

static void usercopy_allowed(void)
{
    char *object = kmem_cache_alloc(user_cache(), GFP_KERNEL), here[4];

    check_object_size(object + 16, 32, true);
    check_object_size(object + 47, 1, false);
    check_object_size(object + 48, 0, true);
    check_object_size(kmalloc(64, GFP_KERNEL), 64, true);
    check_object_size(slub_malloc(64), 64, true);
    check_object_size(slub_malloc(5000), 5000, false);
    check_object_size(here, 4, true);
    went_on(object);
}

static void test_usercopy(void **state)
{
    (void)state;
    expect(usercopy_before, SIGABRT,
           "usercopy: exposure attempt: cache 'user': offset 15, size 4; allowed are 32 from 16");
    expect(usercopy_behind, SIGABRT,
           "usercopy: overwrite attempt: cache 'user': offset 40, size 9");
    expect(usercopy_overflow, SIGABRT, "usercopy: exposure attempt: cache 'user': offset 20, size");
    expect(usercopy_in_front, SIGABRT, "usercopy: exposure attempt: in a slab, but in no object");
    expect(usercopy_never_handed_out, SIGABRT,
           "usercopy: overwrite attempt: in a slab, but in no object");
    expect(usercopy_plain, SIGABRT, "cache 'plain': offset 0, size 1; allowed are 0 from 0");
    expect(usercopy_kmalloc, SIGABRT, "cache 'kmalloc-64': offset 60, size 5");
    expect(usercopy_malloc, SIGABRT, "cache 'malloc-64': offset 60, size 5; allowed are 64 from 0");
    expect(usercopy_allowed, 0, "slub: went on");
}

/* ---- of several pointers the wrong one is named ---- */

/* What it will be, says the child to its parent. */
static void **wrong_one;

/* A link overwritten after the free is noticed before it is followed. */
static void damaged_link(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    char *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
    *wrong_one = hidden = p;
    memset(hidden, 0x41, 64);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
}

/* So is one that leads to where no object starts. */
static void link_to_interior(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    char *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
    *wrong_one = hidden = p;
    set_link(a, hidden, q + 8);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
}

/* Twelve objects side by side in one slab go back together, the fifth `at` bytes too high, or the second twice. */
static void put_run(size_t at, bool twice)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[12];

    if (slabs_take(s, GFP_KERNEL, 0, 12, p) != 12)
        return;
    p[4] = (char *)p[4] + at;
    if (twice)
        p[2] = p[1];
    *wrong_one = p[twice ? 2 : 4];
    slabs_put(s, 12, p);
}

static void put_interior(void)
{
    put_run(8, false);
}

static void put_twice(void)
{
    put_run(0, true);
}

/* In the slab, where it was never handed out. */
static void put_beyond(void)
{
    put_run(13 * 48, false);
}

/* Of twelve objects one alone was still in use. */
static void put_more_than_in_use(void)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[12];

    if (slabs_take(s, GFP_KERNEL, 0, 12, p) != 12)
        return;
    slabs_put(s, 11, p);
    p[10] = p[5];
    *wrong_one = p[11];
    slabs_put(s, 2, p + 10);
}

static void put_foreign(void)
{
    struct kmem_cache *s = kmem_cache_create("run", 48, 0, SLAB_NO_MERGE, NULL);
    void *p[2];

    if (slabs_take(s, GFP_KERNEL, 0, 1, p) != 1)
        return;
    *wrong_one = p[1] = kmalloc(48, GFP_KERNEL);
    slabs_put(s, 2, p);
}

static void test_the_wrong_one_is_named(void **state)
{
    static const struct {
        void (*misuse)(void);
        const char *message;
    } cases[] = {
        {damaged_link, "free list of a slab is damaged at object"},
        {link_to_interior, "free list of a slab is damaged at object"},
        {put_interior, "free: pointer into the middle of an object"},
        {put_twice, "free: object was freed before"},
        {put_beyond, "free: pointer into the middle of an object"},
        {put_more_than_in_use, "free: object was freed before"},
        {put_foreign, "free: not an object of its cache"},
    };
    char line[200];

    (void)state;
    wrong_one =
        mmap(NULL, sizeof *wrong_one, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(wrong_one, MAP_FAILED);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ending e = ending_of(cases[i].misuse);

        snprintf(line, sizeof line, "slub: %s: '%p'\n", cases[i].message, *wrong_one);
        assert_int_equal(signal_of(&e), SIGABRT);
        assert_string_equal(e.said, line);
    }
    munmap(wrong_one, sizeof *wrong_one);
}

static void test_misuse(void **state)
{
    static const struct {
        void (*misuse)(void);
        const char *message;
    } cases[] = {
        {kfree_twice, "freed before"},
        {kfree_twice_large, "kfree: freed before, or never allocated"},
        {kfree_interior, "pointer into the middle of an object"},
        {kfree_interior_large, "pointer into the middle of an object"},
        {kfree_stack, "kfree: not from kmalloc"},
        {kfree_never_allocated, "kfree: freed before, or never allocated"},
        {wrong_cache, "kmem_cache_free: object of another cache"},
        {cache_free_twice, "freed before"},
        {cache_free_interior, "pointer into the middle of an object"},
        {bulk_free_twice, "freed before"},
        {panic, "kmem_cache_create: cannot create a cache with SLAB_PANIC"},
        {free_interior_48, "pointer into the middle of an object"},
        {free_interior_64, "pointer into the middle of an object"},
        {free_interior_112, "pointer into the middle of an object"},
        {free_interior_1792, "pointer into the middle of an object"},
        {free_unaligned, "pointer into the middle of an object"},
        {free_twice, "freed before"},
        {free_mapped_twice, "free: not from malloc, or freed before"},
        {free_stack, "free: not from malloc, or freed before"},
        {realloc_stack, "realloc: not from malloc, or freed before"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].misuse, SIGABRT, cases[i].message);
}

static void test_destroy_refuses(void **state)
{
    (void)state;
    expect(destroy_with_objects, 0, "cache 'in use' still has objects, free them first: 0x");
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

/* Each live object is named, in whatever order, and nothing else. */
static void test_destroy_names_the_objects(void **state)
{
    struct ending e = ending_of(destroy_with_some_objects);
    char *expected = strchr(e.said, '\n');
    char *word, *rest;

    (void)state;
    assert_int_equal(e.status, 0);
    assert_non_null(expected);
    *expected++ = '\0';
    assert_non_null(strstr(e.said, "cache 'some' still has objects"));
    assert_int_equal(count_of(e.said, " 0x"), 7);
    for (word = strtok_r(expected, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
        if (strncmp(word, "0x", 2) == 0) {
            size_t length = strlen(word);
            const char *named = strstr(e.said, word);

            if (!named || (named[length] != ' ' && named[length] != '\0'))
                fail_msg("'%s' is not named: '%s'", word, e.said);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse),          cmocka_unit_test(test_the_wrong_one_is_named),
        cmocka_unit_test(test_destroy_refuses), cmocka_unit_test(test_destroy_names_the_objects),
        cmocka_unit_test(test_debug),           cmocka_unit_test(test_usercopy),
        cmocka_unit_test(test_first_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
