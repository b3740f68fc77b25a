/*
 * What shrinkers' hooks may do: all that kmem.h does not forbid. Nobody waits for what the reclaim itself holds.
 */
#include "reclaim_support.h"

#include <pthread.h>
#include <unistd.h>

#include "malloc/slub_malloc.h"
#include "page/pool.h"
#include "slub/slub.h"
#include "vmalloc/space.h"

static struct kmem_cache *made_before;

static void use_caches(void)
{
    struct kmem_cache *s = kmem_cache_create("of a hook", 72, 0, SLAB_NO_MERGE, NULL);
    void *p = kmalloc(1000, GFP_KERNEL), *q = slub_malloc(20000); /* the first of their sizes */

    kfree(p);
    slub_free(q);
    kmem_cache_destroy(s);
    kmem_cache_destroy(made_before);
    made_before = NULL;
}

static size_t idle_asked;

static bool count_has_idle(void)
{
    idle_asked++;
    return slub_keeper.has_idle();
}

static void ask_in_vain(void)
{
    note_idle();
    idle_asked = flushes = 0;
    while (__get_free_pages(GFP_KERNEL | __GFP_NOWARN, 0))
        ;
    expect(idle_asked == 0 && flushes == 0);
}

/* Who frees memory is refused some: nothing is flushed for it, nor is another shrinker asked. */
static void out_of_memory_inside(void)
{
    static const struct page_keeper keeper = {
        .has_idle = count_has_idle,
        .flush_idle = count_flush,
        .in_vain = in_vain,
    };
    void *pages = NULL;

    begin();
    page_keeper = &keeper;
    expect(register_shrinker(&shrinker) == 0);
    hook = ask_in_vain;
    take_pages(&pages, NORETRY);
    expect(asked > 0 && pool.reclaims > 0);
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

/* Also inside a reclaim that began with the making of a cache. */
static void making_caches(void)
{
    struct kmem_cache *s;
    void *pages = NULL;
    int made = 0;

    begin();
    made_before = kmem_cache_create("made before", 88, 0, SLAB_NO_MERGE, NULL);
    take_pages(&pages, NORETRY);
    expect(register_shrinker(&shrinker) == 0);
    hook = use_caches;
    while (asked == 0 && (s = kmem_cache_create("one more", 104, 0, SLAB_NO_MERGE, NULL)) != NULL)
        made++;
    expect(asked > 0 && !made_before);
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

/* The first vmalloc() of a process, and the first vmap(): what they start must not need what is held here. */
static void map_for_the_first_time(void)
{
    struct page *page = kmem_alloc_pages(NORETRY | __GFP_HIGHMEM, 0);
    void *area = vmap(&page, 1, VM_MAP, PAGE_KERNEL), *p = vmalloc(100000);

    expect(page && area && p);
    vunmap(area);
    vfree(p);
    vm_unmap_aliases();
}

static void *vmalloc_for_the_first_time(void *unused)
{
    (void)unused;
    return vmalloc(8192);
}

/* The hook's work is done by another thread, for which it waits. */
static void have_it_mapped(void)
{
    pthread_t thread;
    void *p;

    expect(pthread_create(&thread, NULL, vmalloc_for_the_first_time, NULL) == 0);
    pthread_join(thread, &p);
    expect(p);
}

static void with_vmalloc_in(void (*its_hook)(void))
{
    void *pages = NULL;

    begin();
    alarm(20);
    expect(register_shrinker(&shrinker) == 0);
    hook = its_hook;
    take_pages(&pages, NORETRY);
    expect(asked > 0 && is_vmalloc_addr((void *)vmalloc_space.start));
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

static void first_vmalloc(void)
{
    with_vmalloc_in(map_for_the_first_time);
}

static void first_vmalloc_elsewhere(void)
{
    with_vmalloc_in(have_it_mapped);
}

TEST(making_caches)
TEST(out_of_memory_inside)
TEST(first_vmalloc)
TEST(first_vmalloc_elsewhere)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making_caches),
        cmocka_unit_test(test_out_of_memory_inside),
        cmocka_unit_test(test_first_vmalloc),
        cmocka_unit_test(test_first_vmalloc_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
