/* What a cache says of itself: slabinfo, and the counters of the knob stats=1. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmem.h"
#include "os.h"
#include "slub/slub.h"

static void test_slabinfo(void **state)
{
    struct kmem_cache *s = kmem_cache_create("info_cache", 256, 0, SLAB_NO_MERGE, NULL);
    FILE *file = tmpfile();
    char line[256], name[64];
    unsigned long active = 0, all = 0, size = 0, per_slab = 0, pages = 0, slabs = 0;
    void *p[40];
    bool found = false;

    (void)state;
    for (int i = 0; i < 40; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    kmem_slabinfo(fileno(file));
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "slabinfo - version: 2.1\n");
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "%63s %lu %lu %lu %lu %lu : tunables 0 0 0 : slabdata %lu", name,
                       &active, &all, &size, &per_slab, &pages, &slabs) == 7 &&
                strcmp(name, "info_cache") == 0;
    assert_true(found);
    assert_in_range(active, 40, all);
    assert_int_equal(size, s->size);
    assert_true(size == 256 || kmem_config.debug);
    /* A colour, which only slabs under sheaves have, may cost one. */
    assert_in_range(all, slabs * (s->path == PATH_SHEAF ? per_slab - 1 : per_slab),
                    slabs * per_slab);
    for (int i = 0; i < 40; i++)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
    fclose(file);
}

/* With the knob stats=1 every call is counted once; without it nothing is. */
static void test_stats(void **state)
{
    struct kmem_cache *s = kmem_cache_create("counted", 64, 0, SLAB_NO_MERGE, NULL);
    unsigned long allocs, frees;
    void *p[500];

    (void)state;
    for (int i = 0; i < 500; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    for (int i = 0; i < 500; i++)
        kmem_cache_free(s, p[i]);
    allocs = cache_stat(s, ALLOC_FASTPATH) + cache_stat(s, ALLOC_SLOWPATH);
    frees = cache_stat(s, FREE_FASTPATH) + cache_stat(s, FREE_SLOWPATH);
    assert_int_equal(allocs, kmem_config.stats ? 500 : 0);
    assert_int_equal(frees, kmem_config.stats ? 500 : 0);
    if (kmem_config.stats)
        assert_true(cache_stat(s, ALLOC_SLAB) >= 500 / 64);
    kmem_cache_destroy(s);
}

static struct kmem_os real_os;
static long counts_mapped;

static void *map_and_note(size_t bytes)
{
    counts_mapped += bytes == sizeof(struct cache_stats);
    return real_os.map(bytes);
}

static bool unmap_and_note(void *start, size_t bytes)
{
    counts_mapped -= bytes == sizeof(struct cache_stats);
    return real_os.unmap(start, bytes);
}

/* What a cache's counts lie in goes with it. */
static void test_counts_go_with_their_cache(void **state)
{
    struct kmem_cache *s;

    (void)state;
    real_os = kmem_os;
    kmem_os.map = map_and_note;
    kmem_os.unmap = unmap_and_note;
    s = kmem_cache_create("counted", 64, 0, SLAB_NO_MERGE, NULL);
    assert_int_equal(counts_mapped, kmem_config.stats != 0);
    kmem_cache_destroy(s);
    kmem_os = real_os;
    assert_int_equal(counts_mapped, 0);
}

/* A few at once come from the CPU's sheaf, and are counted so; many come from slabs. */
static void test_bulk_is_counted(void **state)
{
    enum { FEW = 5, MANY = 100 };
    struct kmem_cache *s = kmem_cache_create("in bulk", 100, 0, SLAB_NO_MERGE, NULL);
    unsigned long fast, slow;
    void *p[MANY];

    (void)state;
    if (!s->stats || s->path != PATH_SHEAF || s->debug) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL)); /* with a sheafful */
    fast = cache_stat(s, ALLOC_FASTPATH);
    slow = cache_stat(s, ALLOC_SLOWPATH);
    assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, FEW, p), FEW);
    assert_int_equal(cache_stat(s, ALLOC_FASTPATH) - fast, FEW);
    assert_int_equal(cache_stat(s, ALLOC_SLOWPATH), slow);
    kmem_cache_free_bulk(s, FEW, p);
    kmem_cache_shrink(s); /* no sheaf is left */
    assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, MANY, p), MANY);
    assert_int_equal(cache_stat(s, ALLOC_FASTPATH) + cache_stat(s, ALLOC_SLOWPATH),
                     fast + slow + FEW + MANY);
    assert_true(cache_stat(s, ALLOC_SLOWPATH) - slow >= MANY / 2);
    kmem_cache_free_bulk(s, MANY, p);
    kmem_cache_destroy(s);
}

/* What slabinfo says of a cache; false: nothing. */
static bool info_of(const char *cache, unsigned long *active, unsigned long *all)
{
    FILE *file = tmpfile();
    char line[256], name[64];
    bool found = false;

    kmem_slabinfo(fileno(file));
    rewind(file);
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "%63s %lu %lu", name, active, all) == 3 && strcmp(name, cache) == 0;
    fclose(file);
    return found;
}

/* Without sheaves and CPU slabs, which hold objects that are in use for their slab, it is exact. */
static void test_slabinfo_is_exact(void **state)
{
    struct kmem_cache *s =
        kmem_cache_create("exact", 200, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    unsigned long active, all;
    void *p[100];

    (void)state;
    stay_on_this_cpu();
    for (int i = 0; i < 100; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 100);
    assert_int_equal(all, (99 / s->objects + 1) * s->objects);
    for (int i = 0; i < 37; i++)
        kmem_cache_free(s, p[2 * i]);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 63);
    for (int i = 0; i < 100; i++)
        if (i >= 74 || i % 2)
            kmem_cache_free(s, p[i]);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 0);
    kmem_cache_destroy(s);
}

/* A name is one field of its line, whatever is in it. */
static void test_slabinfo_of_odd_names(void **state)
{
    static const char *const names[][2] = {
        {"a b", "a_b"},
        {" new\nline\t\x1b\x7f", "_new_line___"},
        {"Gr\u00f6\u00dfe%s", "Gr\u00f6\u00dfe%s"},
        {"more\nthan thirty-one characters ", "more_than_thirty-one_characters"},
    };
    unsigned long active, all;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct kmem_cache *s = kmem_cache_create(names[i][0], 200, 0, SLAB_NO_MERGE, NULL);

        assert_true(info_of(names[i][1], &active, &all));
        kmem_cache_destroy(s);
    }
    assert_null(kmem_cache_create("", 200, 0, SLAB_NO_MERGE, NULL));
}

enum { PIPE_BYTES = 4096, INFO_CACHES = 100 };

/* Makes a cache before it reads what another thread is waiting to write. */
static void *make_cache_and_read(void *of)
{
    int fd = *(int *)of, there = 0;
    char text[PIPE_BYTES];

    while (there < PIPE_BYTES && ioctl(fd, FIONREAD, &there) == 0)
        usleep(1000);
    if (!kmem_cache_create("reader's", 50, 0, SLAB_NO_MERGE, NULL))
        _exit(2);
    while (read(fd, text, sizeof text) > 0)
        ;
    return NULL;
}

static void info_to_full_pipe(void)
{
    pthread_t reader;
    int fd[2];

    alarm(20);
    for (int i = 0; i < INFO_CACHES; i++)
        kmem_cache_create("one of many", 100, 0, SLAB_NO_MERGE, NULL);
    if (pipe(fd) != 0 || fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES ||
        pthread_create(&reader, NULL, make_cache_and_read, &fd[0]) != 0)
        _exit(3);
    kmem_slabinfo(fd[1]);
    close(fd[1]);
    pthread_join(reader, NULL);
}

static void test_slabinfo_holds_nobody_up(void **state)
{
    (void)state;
    assert_int_equal(ending_of(info_to_full_pipe).status, 0);
}

/* Each cache is told of once, the last made first. */
static void test_next_cache(void **state)
{
    struct kmem_cache *a = kmem_cache_create("a", 100, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *b = kmem_cache_create("b", 200, 0, SLAB_NO_MERGE, NULL);
    struct cache_figures f = {0};
    size_t caches = 0, seen = 0;

    (void)state;
    assert_true(next_cache(&f));
    assert_string_equal(f.name, "b");
    kmem_cache_destroy(b);
    assert_true(next_cache(&f));
    assert_string_equal(f.name, "a");
    assert_int_equal(f.size, a->size);
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        caches++;
    for (f.number = 0; next_cache(&f);)
        seen++;
    assert_int_equal(seen, caches);
    kmem_cache_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabinfo),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_slabinfo_is_exact),
        cmocka_unit_test(test_slabinfo_holds_nobody_up),
        cmocka_unit_test(test_slabinfo_of_odd_names),
        cmocka_unit_test(test_next_cache),
        cmocka_unit_test(test_counts_go_with_their_cache),
        cmocka_unit_test(test_bulk_is_counted),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
