/* A cache that cannot be made; and some that cannot be destroyed, whose objects are named. */
#include "slub_misuse.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"
#include "slub/link.h"
#include "slub/slab.h"

static void panic(void)
{
    kmem_cache_create("impossible", 0, 0, SLAB_PANIC, NULL);
}

static void panic_nameless(void)
{
    kmem_cache_create(NULL, 8, 0, SLAB_PANIC, NULL);
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

static void destroy_twice(void)
{
    struct kmem_cache *a = kmem_cache_create("gone", 64, 0, SLAB_NO_MERGE, NULL);

    kmem_cache_free(a, kmem_cache_alloc(a, GFP_KERNEL));
    kmem_cache_destroy(a);
    kmem_cache_destroy(a);
}

static void destroy_no_cache(void)
{
    kmem_cache_destroy(kmalloc(100, GFP_KERNEL));
}

/* For the test, where no more is said before it: which objects are to be named. */
static void say_expected(void *const *p, int count)
{
    char line[400];
    int used = 0;

    for (int i = 0; i < count; i++)
        used += snprintf(line + used, sizeof line - (size_t)used, "expected %p\n", p[i]);
    if (write(STDERR_FILENO, line, (size_t)used) < 0)
        _exit(3);
}

/* Slabs without a free object, which are on a list of their own. */
static void destroy_with_full_slabs(void)
{
    struct kmem_cache *a =
        kmem_cache_create("full", 2000, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[32];
    int count = 0;

    do
        p[count++] = kmem_cache_alloc(a, GFP_KERNEL);
    while ((unsigned)count < a->objects);
    if (count > 16 || !a->node[slab_nid(slab_of(p[0]))]->full.first)
        _exit(4);
    kmem_cache_destroy(a);
    say_expected(p, count);
}

/* Live ones here and there; the free ones between them are not named. */
static void destroy_with_some_objects(void)
{
    struct kmem_cache *a = kmem_cache_create("some", 64, 0, SLAB_NO_MERGE, NULL);
    enum { OBJECTS = 300 };
    static const int live[] = {0, 1, 63, 64, 150, 255, 299};
    void *p[OBJECTS], *expected[7];

    for (int i = 0; i < OBJECTS; i++)
        p[i] = kmem_cache_alloc(a, GFP_KERNEL);
    for (int i = 0, next = 0; i < OBJECTS; i++)
        if (next < 7 && i == live[next])
            expected[next++] = p[i];
        else
            kmem_cache_free(a, p[i]);
    kmem_cache_destroy(a);
    say_expected(expected, 7);
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

/* Each live object is named, in whatever order, and nothing else. */
static void expect_names(void (*destroy)(void), const char *what)
{
    struct ending e = ending_of(destroy);
    char *expected = strchr(e.said, '\n');
    char *word, *rest;

    assert_int_equal(e.status, 0);
    assert_non_null(expected);
    *expected++ = '\0';
    assert_non_null(strstr(e.said, what));
    assert_true(count_of(expected, "expected 0x") > 0);
    assert_int_equal(count_of(e.said, " 0x"), count_of(expected, "expected 0x"));
    for (word = strtok_r(expected, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
        if (strncmp(word, "0x", 2) == 0) {
            size_t length = strlen(word);
            const char *named = strstr(e.said, word);

            if (!named || (named[length] != ' ' && named[length] != '\0'))
                fail_msg("'%s' is not named: '%s'", word, e.said);
        }
}

void test_destroy_names_the_objects(void **state)
{
    (void)state;
    expect_names(destroy_with_some_objects, "cache 'some' still has objects");
    expect_names(destroy_with_full_slabs, "cache 'full' still has objects");
}

static unsigned live_objects;

static void destroy_with_so_many(void)
{
    struct kmem_cache *a = kmem_cache_create("many", 64, 0, SLAB_NO_MERGE, NULL);

    for (unsigned i = 0; i < live_objects; i++)
        kmem_cache_alloc(a, GFP_KERNEL);
    kmem_cache_destroy(a);
}

void test_destroy_names_sixteen(void **state)
{
    (void)state;
    for (live_objects = 15; live_objects <= 17; live_objects++) {
        struct ending e = ending_of(destroy_with_so_many);

        assert_int_equal(e.status, 0);
        assert_int_equal(count_of(e.said, " 0x"), live_objects < 16 ? live_objects : 16);
        assert_int_equal(count_of(e.said, " ..."), live_objects > 16);
    }
}

/*
 * A cache without sheaves, so that what is freed lies linked on its slabs, and debug=1 is not asked: the link is the
 * first word of 64 bytes.
 */
static struct kmem_cache *linked_cache(void **p, int count)
{
    struct kmem_cache *a =
        kmem_cache_create("linked", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);

    for (int i = 0; i < count; i++)
        p[i] = kmem_cache_alloc(a, GFP_KERNEL);
    for (int i = 1; i < count; i++)
        kmem_cache_free(a, p[i]);
    return a;
}

static void destroy_with_wild_link(void)
{
    void *p[8];
    struct kmem_cache *a = linked_cache(p, 8);

    *link_of(a, p[4]) = (void *)0x1234;
    kmem_cache_destroy(a);
}

static void destroy_with_circle(void)
{
    void *p[8];
    struct kmem_cache *a = linked_cache(p, 8);

    alarm(20);
    set_link(a, p[4], p[6]);
    kmem_cache_destroy(a);
}

const struct misuse misuse_caches[] = {
    {FAULT(panic), "kmem_cache_create: cannot create the cache 'impossible' (SLAB_PANIC): expected "
                   "a size of 1 byte to 4 MiB"},
    {FAULT(panic_nameless), "cannot create the cache '' (SLAB_PANIC): it has no name"},
    {FAULT(destroy_twice), "kmem_cache_destroy: not a cache, or destroyed before: '0x"},
    {FAULT(destroy_no_cache), "kmem_cache_destroy: not a cache, or destroyed before: '0x"},
    {FAULT(destroy_with_wild_link), "free list of a slab is damaged at object: '0x"},
    {FAULT(destroy_with_circle), "free list of a slab is damaged at object: '0x"},
    {FINE(destroy_with_objects), "cache 'in use' still has objects, free them first: 0x"},
    {0},
};
