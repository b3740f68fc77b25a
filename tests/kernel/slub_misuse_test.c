/* Every wrong call ends in SIGABRT and one line that names it; each runs in a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"

static char *volatile hidden; /* from the compiler */

static void expect(void (*misuse)(void), int signal, const char *message)
{
    char text[1024] = "";
    size_t used = 0;
    ssize_t n;
    int fd[2], status;
    pid_t child;

    assert_int_equal(pipe(fd), 0);
    child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        dup2(fd[1], STDERR_FILENO);
        misuse();
        _exit(0);
    }
    close(fd[1]);
    while (used < sizeof text - 1 && (n = read(fd[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (signal) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signal);
    } else {
        assert_int_equal(status, 0);
    }
    if (!strstr(text, message))
        fail_msg("expected '%s', got '%s'", message, text);
    assert_int_equal(strncmp(text, "slub: ", 6), 0);
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

/* A link overwritten after the free is noticed before it is followed. */
static void damaged_link(void)
{
    struct kmem_cache *a = kmem_cache_create("a", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    char *p = kmem_cache_alloc(a, GFP_KERNEL), *q = kmem_cache_alloc(a, GFP_KERNEL);

    kmem_cache_free(a, q);
    kmem_cache_free(a, p);
    hidden = p;
    memset(hidden, 0x41, 64);
    hidden = kmem_cache_alloc(a, GFP_KERNEL);
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
        {free_twice, "freed before"},
        {free_mapped_twice, "free: not from malloc, or freed before"},
        {free_stack, "free: not from malloc, or freed before"},
        {realloc_stack, "realloc: not from malloc, or freed before"},
        {damaged_link, "free list of a slab is damaged"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_destroy_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
