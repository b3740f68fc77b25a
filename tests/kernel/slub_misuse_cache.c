/* A cache that cannot be made; and some that cannot be destroyed, whose objects are named. */
#include "slub_misuse.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"

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

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

/* Each live object is named, in whatever order, and nothing else. */
void test_destroy_names_the_objects(void **state)
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

const struct misuse misuse_caches[] = {
    {FAULT(panic), "kmem_cache_create: cannot create the cache 'impossible' (SLAB_PANIC): expected "
                   "a size of 1 byte to 4 MiB"},
    {FAULT(panic_nameless), "cannot create the cache '' (SLAB_PANIC): it has no name"},
    {FAULT(destroy_twice), "kmem_cache_destroy: not a cache, or destroyed before: '0x"},
    {FAULT(destroy_no_cache), "kmem_cache_destroy: not a cache, or destroyed before: '0x"},
    {FINE(destroy_with_objects), "cache 'in use' still has objects, free them first: 0x"},
    {0},
};
