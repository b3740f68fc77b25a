/* More caches than a CPU's block has cells for: those beyond do without, and lack nothing else. */
#include "support.h"

#include <string.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "slub/slub.h"

enum { OBJECTS = 300 };

static struct kmem_cache *made[PERCPU_CELLS + 1];
static unsigned count;

static void use(struct kmem_cache *s)
{
    unsigned char *p[OBJECTS];
    void *bulk[40];

    for (int i = 0; i < OBJECTS; i++) {
        p[i] = i % 3 ? kmem_cache_alloc(s, GFP_KERNEL)
                     : kmem_cache_alloc_node(s, GFP_KERNEL, i % (int)node_count());
        assert_non_null(p[i]);
        memset(p[i], i & 0xff, kmem_cache_size(s));
    }
    assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, 40, bulk), 40);
    assert_int_equal(kmem_check(), 0);
    kmem_cache_free_bulk(s, 40, bulk);
    for (int i = 0; i < OBJECTS; i++) {
        assert_int_equal(p[i][0], i & 0xff);
        assert_int_equal(p[i][kmem_cache_size(s) - 1], i & 0xff);
        if (i % 2)
            kmem_cache_free(s, p[i]);
        else
            kfree(p[i]);
    }
    assert_int_equal(kmem_check(), 0);
}

static void test_no_cell_left(void **state)
{
    (void)state;
    do {
        made[count] = kmem_cache_create("one of many", 100, 0, SLAB_NO_MERGE, NULL);
        assert_non_null(made[count]);
    } while (made[count++]->index != 0);
    assert_true(count < PERCPU_CELLS / node_count());
    assert_int_equal(made[count - 1]->path, PATH_DIRECT);
    use(made[count - 1]);
    use(made[count - 2]);
}

/* All sizes, whether their class got a cell or not. */
static void test_malloc_without_cells(void **state)
{
    static unsigned char *p[400];
    size_t n = 0;

    (void)state;
    for (size_t bytes = 1; bytes < 40000; bytes += 1 + bytes / 16, n++) {
        assert_non_null(p[n] = slub_malloc(bytes));
        if (bytes <= 32768) /* of its class, cell or not */
            assert_in_range(slub_malloc_usable_size(p[n]), bytes, bytes + bytes / 4 + 16);
        memset(p[n], (int)n, bytes);
    }
    assert_int_equal(kmem_check(), 0);
    n = 0;
    for (size_t bytes = 1; bytes < 40000; bytes += 1 + bytes / 16, n++) {
        p[n] = slub_realloc(p[n], bytes + bytes / 2);
        assert_int_equal(p[n][bytes - 1], n & 0xff);
        slub_free(p[n]);
    }
    for (size_t size = 1; size <= KMALLOC_MAX_CACHE_SIZE; size *= 2)
        kfree(kzalloc(size, GFP_KERNEL));
    slub_malloc_trim(0);
    assert_int_equal(kmem_check(), 0);
}

/* The cell of a cache that goes is the next one's. */
static void test_cell_comes_back(void **state)
{
    unsigned index = made[0]->index;

    (void)state;
    kmem_cache_destroy(made[0]);
    made[0] = kmem_cache_create("the next", 100, 0, SLAB_NO_MERGE, NULL);
    assert_int_equal(made[0]->index, index);
    use(made[0]);
    while (count > 0)
        kmem_cache_destroy(made[--count]);
    assert_int_equal(kmem_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_left),
        cmocka_unit_test(test_malloc_without_cells),
        cmocka_unit_test(test_cell_comes_back),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
