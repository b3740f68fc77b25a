/* vmalloc and vmap: what each call promises. */
#include "page_support.h"

#include <limits.h>
#include <signal.h>

#include "vmalloc/space.h"

static void test_basics(void **state)
{
    unsigned char *p = vmalloc(10 * PAGE_SIZE - 5);

    (void)state;
    assert_non_null(p);
    assert_true(is_vmalloc_addr(p));
    assert_false(is_vmalloc_addr(&p));
    memset(p, 0x5a, 10 * PAGE_SIZE);
    for (size_t i = 0; i < 10; i++) {
        struct page *page = vmalloc_to_page(p + i * PAGE_SIZE);

        assert_non_null(page);
        /* The same memory at its other address. */
        assert_true(is_filled(page_address(page), PAGE_SIZE, 0x5a));
    }
    assert_null(vmalloc_to_page(p + 10 * PAGE_SIZE));
    assert_whole();
    vfree(p);
    vfree(NULL);
    assert_null(vmalloc(0));
    assert_null(__vmalloc(PAGE_SIZE, GFP_ATOMIC));
    assert_null(__vmalloc(PAGE_SIZE, GFP_NOWAIT));
}

static void test_zeroed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        unsigned char *p = vzalloc(40 * PAGE_SIZE);

        assert_true(is_filled(p, 40 * PAGE_SIZE, 0));
        memset(p, 0xff, 40 * PAGE_SIZE);
        vfree(p);
        if (i == 1)
            vm_unmap_aliases();
    }
}

/* Behind every area is a page that cannot be touched; so is a purged one. */
static void test_guard(void **state)
{
    char *p = vmalloc(3 * PAGE_SIZE), *q = vmalloc(3 * PAGE_SIZE);

    (void)state;
    assert_int_equal(signal_of_touching(p), 0);
    assert_int_equal(signal_of_touching(p + 3 * PAGE_SIZE - 1), 0);
    assert_int_equal(signal_of_touching(p + 3 * PAGE_SIZE), SIGSEGV);
    assert_true(q >= p + 4 * PAGE_SIZE || p >= q + 4 * PAGE_SIZE);
    vfree(p);
    vfree(q);
    vm_unmap_aliases();
    assert_int_equal(signal_of_touching(p), SIGSEGV);
    assert_int_equal(highmem_used(), 0);
}

/* Scattered frames make one area: every second page of the pool is taken away from it. */
static void test_scattered(void **state)
{
    /* Too few for huge blocks. */
    enum { N = 900 };
    static struct page *p[N];
    unsigned char *v;
    size_t runs = 0;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    for (int i = 0; i < N; i += 2)
        __free_pages(p[i], 0);
    v = vmalloc(N / 2 * PAGE_SIZE);
    assert_non_null(v);
    for (size_t i = 0; i < N / 2; i++)
        memset(v + i * PAGE_SIZE, (int)i, PAGE_SIZE);
    for (size_t i = 0; i < N / 2; i++) {
        assert_true(is_filled(v + i * PAGE_SIZE, PAGE_SIZE, (unsigned char)i));
        runs += i == 0 ||
                vmalloc_to_page(v + i * PAGE_SIZE) != vmalloc_to_page(v + (i - 1) * PAGE_SIZE) + 1;
    }
    assert_true(runs > N / 4);
    assert_whole();
    vfree(v);
    for (int i = 1; i < N; i += 2)
        __free_pages(p[i], 0);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
    assert_whole();
}

/* Of several gaps that are long enough the lowest is taken, and none that is too short. */
static void test_lowest_gap(void **state)
{
    enum { N = 12 };
    static const size_t pages[N] = {3, 1, 9, 1, 5, 1, 9, 1, 5, 1, 20, 1};
    char *p[N], *q;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = vmalloc(pages[i] * PAGE_SIZE);
    for (int i = 1; i < N; i++)
        assert_ptr_equal(p[i], p[i - 1] + (pages[i - 1] + 1) * PAGE_SIZE);
    for (int i = 0; i < N; i += 2)
        vfree(p[i]);
    vm_unmap_aliases(); /* which leaves gaps of 3, 9, 5, 9, 5 and 20 pages, and the rest of the range */
    q = vmalloc(6 * PAGE_SIZE);
    assert_ptr_equal(q, p[2]);
    p[2] = q;
    p[4] = vmalloc(4 * PAGE_SIZE); /* 3 do not do, and of p[2]'s gap 2 are left */
    assert_ptr_equal(p[4], q + 10 * PAGE_SIZE + 2 * PAGE_SIZE);
    p[6] = vmalloc(9 * PAGE_SIZE);
    assert_ptr_equal(p[6], p[5] + 2 * PAGE_SIZE);
    p[0] = vmalloc(2 * PAGE_SIZE);
    assert_true(p[0] < p[1]);
    p[8] = vmalloc(30 * PAGE_SIZE);
    assert_ptr_equal(p[8], p[11] + 2 * PAGE_SIZE);
    assert_whole();
    for (int i = 0; i < N; i++)
        if (i != 10)
            vfree(p[i]);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
}

static void assert_seen(const char *what)
{
    char why[200] = "";

    assert_false(kmem_vmalloc_check(why, sizeof why));
    if (!strstr(why, what))
        fail_msg("expected '%s', got '%s'", what, why);
}

/* Each thing that kmem_vmalloc_check() is for is done to it once, and undone. */
static void test_check_sees_damage(void **state)
{
    struct vmalloc_space *v = &vmalloc_space;
    char *p = vmalloc(5 * PAGE_SIZE), *q = vmalloc(PAGE_SIZE), *lazy = vmalloc(2 * PAGE_SIZE);
    struct vmap_area *a = area_floor(&v->busy, (uintptr_t)p), *root = v->busy.root;
    uint8_t *frame = &page_globals.state[page_to_frame(vmalloc_to_page(p))], was = *frame;

    (void)state;
    vfree(lazy);
    assert_whole();
    root->longest += PAGE_SIZE;
    assert_seen("out of order or balance");
    root->longest -= PAGE_SIZE;
    root->height++;
    assert_seen("out of order or balance");
    root->height--;
    v->free.root->start -= PAGE_SIZE; /* into the area before, and its longest with it */
    v->free.root->longest += PAGE_SIZE;
    assert_seen("vmalloc: ");
    v->free.root->start += PAGE_SIZE;
    v->free.root->longest -= PAGE_SIZE;
    a->state = AREA_FREE;
    assert_seen("state does not fit its tree");
    a->state = AREA_VMALLOC;
    a->pages--;
    assert_seen("do not fit its pages and a guard page");
    a->pages++;
    *frame = 0;
    assert_seen("frame that is not allocated");
    *frame = was;
    v->lazy_pages++;
    assert_seen("lazy pages are miscounted");
    v->lazy_pages--;
    v->lazy->state = AREA_VMALLOC;
    assert_seen("in the lazy list is not lazy");
    v->lazy->state = AREA_LAZY;
    assert_whole();
    vfree(p);
    vfree(q);
    vm_unmap_aliases();
}

/* Freed areas stay mapped until enough of them can go at once; neighbours go with one call. */
static void test_lazy(void **state)
{
    enum { N = 64 };
    static char *p[N];
    struct vmalloc_stats before, after;
    size_t calls;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = vmalloc((size_t)(i + 1) * PAGE_SIZE);
    kmem_vmalloc_stats(&before);
    calls = system_calls();
    for (int i = 0; i < N; i++)
        vfree(p[i]);
    assert_int_equal(system_calls(), calls);
    /* The same number of pages again costs no call either, last freed first. */
    char *again = vmalloc(60 * PAGE_SIZE);
    assert_ptr_equal(again, p[59]);
    assert_int_equal(system_calls(), calls);
    vfree(again);
    vm_unmap_aliases();
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.unmappings - before.unmappings, 1);
    assert_int_equal(after.lazy_bytes, 0);
    assert_whole();
}

/* More than the threshold is unmapped by vfree() itself. */
static void test_purge_threshold(void **state)
{
    struct vmalloc_stats s;
    size_t purges;

    (void)state;
    vm_unmap_aliases();
    kmem_vmalloc_stats(&s);
    purges = s.purges;
    /* 128 MiB of HIGHMEM: 16 MiB may be lazy. */
    for (size_t i = 0; i < 40; i++) {
        char *p = vmalloc(MIB + i * PAGE_SIZE);

        assert_non_null(p);
        vfree(p);
        kmem_vmalloc_stats(&s);
        assert_true(s.lazy_bytes <= 16 * MIB);
    }
    assert_int_equal(s.purges, purges + 2);
}

static void test_huge(void **state)
{
    struct vmalloc_stats before, after;
    size_t calls;
    char *p, *first;

    (void)state;
    vm_unmap_aliases();
    first = vmalloc(PAGE_SIZE); /* where an aligned area would begin by itself */
    kmem_vmalloc_stats(&before);
    calls = system_calls();
    p = vmalloc(6 * MIB + 3 * PAGE_SIZE);
    assert_non_null(p);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.huge - before.huge, 3);
    assert_int_equal((uintptr_t)p & (2 * MIB - 1), 0);
    /* Some for growing, four at most to map: not one a page. */
    assert_in_range(system_calls() - calls, 1, 10);
    memset(p, 1, 6 * MIB + 3 * PAGE_SIZE);
    assert_whole();
    vfree(p);
    vfree(first);
    vm_unmap_aliases();
    assert_whole();
}

/* Others get the frames of lazy areas when memory is short. */
static void test_lazy_is_reclaimed(void **state)
{
    struct page *first = NULL, *p;
    struct vmalloc_stats s;

    (void)state;
    vm_unmap_aliases();
    vfree(vmalloc(10 * MIB));
    kmem_vmalloc_stats(&s);
    assert_int_equal(s.lazy_bytes, 10 * MIB);
    while ((p = alloc_pages(GFP_HIGHUSER, 9)) != NULL) {
        *(struct page **)page_address(p) = first;
        first = p;
    }
    kmem_vmalloc_stats(&s);
    assert_int_equal(s.lazy_bytes, 0);
    assert_whole();
    for (; first; first = p) {
        p = *(struct page **)page_address(first);
        __free_pages(first, 9);
    }
    assert_int_equal(highmem_used(), 0);
}

static struct kmem_os real_os;
static bool was_hidden;

static bool hide_and_note(void *at, size_t bytes)
{
    was_hidden = true;
    return real_os.hide(at, bytes);
}

static bool map_once_hidden(void *at, size_t bytes, int prot, int fd, size_t offset, void *original)
{
    return was_hidden && real_os.map_memfd(at, bytes, prot, fd, offset, original);
}

/* As at the system's limit of mappings: what lazy areas hold of them is enough for one more. */
static void test_purged_for_mappings(void **state)
{
    void *p;

    (void)state;
    vm_unmap_aliases();
    vfree(vmalloc(7 * PAGE_SIZE));
    real_os = kmem_os;
    was_hidden = false;
    kmem_os.hide = hide_and_note;
    kmem_os.map_memfd = map_once_hidden;
    p = vmalloc(5 * PAGE_SIZE);
    kmem_os = real_os;
    assert_non_null(p);
    assert_true(was_hidden);
    assert_whole();
    vfree(p);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
}

/* No 2 MiB in a row anywhere: single pages do. */
static void test_huge_falls_back(void **state)
{
    static struct page *all[128 * 512];
    struct vmalloc_stats before, after;
    size_t n = 0;
    char *p;

    (void)state;
    vm_unmap_aliases();
    while (n < sizeof all / sizeof *all &&
           (all[n] = alloc_pages(GFP_HIGHUSER | __GFP_NORETRY, 0)) != NULL)
        n++;
    for (size_t i = 0; i < n; i++)
        if (page_to_frame(all[i]) % 256 != 0) {
            __free_pages(all[i], 0);
            all[i] = NULL;
        }
    kmem_vmalloc_stats(&before);
    p = vmalloc(8 * MIB);
    assert_non_null(p);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.huge, before.huge);
    memset(p, 1, 8 * MIB);
    assert_whole();
    vfree(p);
    vm_unmap_aliases();
    for (size_t i = 0; i < n; i++)
        if (all[i])
            __free_pages(all[i], 0);
    assert_int_equal(highmem_used(), 0);
}

/* Zeroed as vzalloc()'s, and from the node; of one that is not there, nothing. */
static void test_zeroed_on_node(void **state)
{
    (void)state;
    for (int node = 0; node < (int)page_globals.nodes; node++)
        for (int i = 0; i < 2; i++) {
            unsigned char *p = vzalloc_node(3 * PAGE_SIZE, node);

            assert_non_null(p);
            assert_true(is_filled(p, 3 * PAGE_SIZE, 0));
            for (size_t n = 0; n < 3; n++)
                assert_int_equal(page_to_node(vmalloc_to_page(p + n * PAGE_SIZE)), node);
            memset(p, 0xff, 3 * PAGE_SIZE);
            vfree(p);
        }
    assert_null(vzalloc_node(PAGE_SIZE, (int)page_globals.nodes));
    assert_null(vzalloc_node(PAGE_SIZE, -2));
    assert_null(vmalloc_node(PAGE_SIZE, INT_MIN));
    vfree(vmalloc_node(PAGE_SIZE, NUMA_NO_NODE));
    assert_whole();
}

static void test_beyond_the_pool(void **state)
{
    size_t calls;

    (void)state;
    vm_unmap_aliases();
    calls = system_calls();
    assert_null(vmalloc(129 * MIB));
    assert_null(vmalloc(SIZE_MAX));
    assert_null(vmalloc(SIZE_MAX - PAGE_SIZE));
    assert_int_equal(system_calls(), calls);
    /* Not more than there is, but more than can be had: all of it comes back. */
    char *held = vmalloc(100 * MIB);
    assert_non_null(held);
    assert_null(vmalloc(60 * MIB));
    vfree(held);
    /* What is lazy is there when it is needed. */
    held = vmalloc(110 * MIB);
    assert_non_null(held);
    vfree(held);
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), 0);
    assert_whole();
}

static void test_vmap(void **state)
{
    struct page *p[5], *private = alloc_pages(GFP_KERNEL, 0);
    unsigned char *a, *b;

    (void)state;
    for (int i = 0; i < 5; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    a = vmap(p, 5, VM_MAP, PAGE_KERNEL);
    b = vmap((struct page *[]){p[4], p[3], p[2], p[1], p[0]}, 5, VM_MAP, PAGE_KERNEL_RO);
    assert_non_null(a);
    assert_non_null(b);
    for (int i = 0; i < 5; i++)
        memset(a + i * PAGE_SIZE, i + 1, PAGE_SIZE);
    for (int i = 0; i < 5; i++) {
        assert_true(is_filled(b + i * PAGE_SIZE, PAGE_SIZE, (unsigned char)(5 - i)));
        assert_true(is_filled(page_address(p[i]), PAGE_SIZE, (unsigned char)(i + 1)));
        assert_ptr_equal(vmalloc_to_page(b + i * PAGE_SIZE), p[4 - i]);
    }
    assert_int_equal(signal_of_touching((char *)b), SIGSEGV);
    assert_whole();
    vunmap(a);
    vunmap(b);
    vunmap(NULL);
    assert_int_equal(signal_of_touching((char *)a), SIGSEGV);
    /* Memory that no memfd has cannot be mapped a second time. */
    assert_null(vmap(&private, 1, VM_MAP, PAGE_KERNEL));
    __free_pages(private, 0);
    assert_null(vmap(p, 0, VM_MAP, PAGE_KERNEL));
    for (int i = 0; i < 5; i++)
        __free_pages(p[i], 0);
    assert_null(vmap(p, 1, VM_MAP, PAGE_KERNEL));
    assert_whole();
}

/* ---- Misuse ----------------------------------------------------------------------------------- */

static void misuse_stranger(void)
{
    int x = 0;

    vfree(&x);
}

static void misuse_inside(void)
{
    vfree((char *)vmalloc(3 * PAGE_SIZE) + PAGE_SIZE);
}

static void misuse_twice(void)
{
    void *p = vmalloc(PAGE_SIZE);

    vfree(p);
    vfree(p);
}

static void misuse_after_purge(void)
{
    void *p = vmalloc(PAGE_SIZE);

    vfree(p);
    vm_unmap_aliases();
    vfree(p);
}

static void misuse_vunmap(void)
{
    vunmap(vmalloc(PAGE_SIZE));
}

static void misuse_vfree(void)
{
    struct page *p = alloc_pages(GFP_HIGHUSER, 0);

    vfree(vmap(&p, 1, VM_MAP, PAGE_KERNEL));
}

static void test_misuse(void **state)
{
    static const struct {
        void (*body)(void);
        const char *said;
    } misuse[] = {
        {misuse_stranger, "slub: vfree(): not an area: '0x"},
        {misuse_inside, "vfree(): inside an area, expected its start: '0x"},
        {misuse_twice, "vfree(): the area was freed before: '0x"},
        {misuse_after_purge, "vfree(): not an area: '0x"},
        {misuse_vunmap, "vunmap(): an area of vmalloc(), expected vmap(); use vfree(): '0x"},
        {misuse_vfree, "vfree(): an area of vmap(), expected vmalloc(); use vunmap(): '0x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        struct ending e = ending_of(misuse[i].body);

        assert_non_null(strstr(e.said, misuse[i].said));
        assert_int_equal(signal_of(&e), SIGABRT);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_basics),
    cmocka_unit_test(test_zeroed),
    cmocka_unit_test(test_guard),
    cmocka_unit_test(test_scattered),
    cmocka_unit_test(test_lowest_gap),
    cmocka_unit_test(test_check_sees_damage),
    cmocka_unit_test(test_lazy),
    cmocka_unit_test(test_purge_threshold),
    cmocka_unit_test(test_huge),
    cmocka_unit_test(test_lazy_is_reclaimed),
    cmocka_unit_test(test_huge_falls_back),
    cmocka_unit_test(test_beyond_the_pool),
    cmocka_unit_test(test_vmap),
    cmocka_unit_test(test_misuse),
    cmocka_unit_test(test_purged_for_mappings),
    cmocka_unit_test(test_zeroed_on_node),
};

/* What other nodes have a part in: finding frames, and giving them back. */
static const struct CMUnitTest node_tests[] = {
    cmocka_unit_test(test_basics),          cmocka_unit_test(test_scattered),
    cmocka_unit_test(test_huge_falls_back), cmocka_unit_test(test_beyond_the_pool),
    cmocka_unit_test(test_zeroed_on_node),
};

DEFINE_GROUP(vmalloc_group, tests)
DEFINE_GROUP(node_group, node_tests)

int main(void)
{
    return in_vmalloc_pools(vmalloc_group, node_group) != 0;
}
