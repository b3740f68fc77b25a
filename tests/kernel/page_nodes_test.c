/*
 * Nodes: pretended ones, and machines as /sys would show them. Where memory comes from, what
 * __GFP_THISNODE refuses, in which order others help out, and which ranges are bound to which node.
 */
#include "page_support.h"

#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pcp.h"

static unsigned nodes;

static size_t used_on(int node)
{
    size_t used = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->node == node)
            used += zone_used_frames(z);
    return used;
}

static struct page *hoard_on(int node, gfp_t gfp, size_t *n)
{
    struct page *first = NULL, *p;

    for (*n = 0; (p = alloc_pages_node(node, gfp | __GFP_NORETRY, 4)) != NULL; ++*n) {
        *(struct page **)page_address(p) = first;
        first = p;
    }
    return first;
}

static void free_hoard(struct page *first)
{
    for (struct page *p; first; first = p) {
        p = *(struct page **)page_address(first);
        __free_pages(first, 4);
    }
}

static void test_layout(void **state)
{
    int before = -1;

    (void)state;
    assert_int_equal(node_count(), nodes);
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        assert_true(z->kind != ZONE_DMA || z->node == 0);
        assert_true(z->node >= before);
        before = z->node;
        assert_int_equal(page_to_node(frame_to_page(z->start)), z->node);
        assert_int_equal(page_to_node(frame_to_page(z->end - 1)), z->node);
        assert_int_equal(z->start % MAX_ORDER_NR_PAGES, 0);
    }
    assert_int_equal(before, (int)nodes - 1);
    /* CPUs are dealt out in runs, and every node that can have one has one. */
    for (unsigned c = 1; c < pool.cpus; c++)
        assert_in_range(cpu_to_node(c) - cpu_to_node(c - 1), 0, nodes);
    if (pool.cpus >= nodes)
        assert_int_equal(cpu_to_node(pool.cpus - 1), (int)nodes - 1);
}

/* Where one node's memory is short, the others' CPU lists go on. */
static void test_short_node(void **state)
{
    size_t n, used;
    struct page *first = hoard_on(0, GFP_KERNEL | __GFP_THISNODE, &n), *p;

    (void)state;
    for (int node = 0; node < (int)nodes; node++)
        assert_int_equal(zone_is_short(node_zone(node, ZONE_NORMAL)), node == 0);
    assert_int_equal(page_globals.listed_orders, 0);
    if (nodes > 1) {
        p = alloc_pages_node(1, GFP_KERNEL | __GFP_THISNODE, 0);
        used = used_on(1);
        assert_int_equal(used, 16); /* a list was filled */
        __free_pages(p, 0);
        assert_int_equal(used_on(1), used);
    }
    free_hoard(first);
    assert_int_equal(page_globals.listed_orders, PCP_ORDERS);
    pcp_drain_all(GFP_KERNEL);
    assert_whole();
}

/* Each node's memory is its own, and THISNODE means it. */
static void test_this_node(void **state)
{
    (void)state;
    for (int node = 0; node < (int)nodes; node++) {
        size_t n;
        struct page *first = hoard_on(node, GFP_KERNEL | __GFP_THISNODE, &n);

        assert_in_range(n, 12 * MIB / (PAGE_SIZE << 4), 16 * MIB / (PAGE_SIZE << 4));
        for (struct page *p = first; p; p = *(struct page **)page_address(p))
            assert_int_equal(page_to_node(p), node);
        for (int other = 0; other < (int)nodes; other++)
            assert_true((used_on(other) > 0) == (other == node));
        assert_null(alloc_pages_node(node, GFP_KERNEL | __GFP_THISNODE, 4));
        free_hoard(first);
        pcp_drain_all(GFP_KERNEL);
        assert_int_equal(used_on(node), 0);
        assert_whole();
    }
    assert_null(alloc_pages_node((int)nodes, GFP_KERNEL, 0));
}

/*
 * Without it others help out, the nearest first, until all are used up. (Down to the low watermark:
 * what is below it is shared out in a second round.)
 */
static void test_fallback(void **state)
{
    (void)state;
    for (int node = 0; node < (int)nodes; node++) {
        size_t n, turn = 0;
        struct page *first = hoard_on(node, GFP_KERNEL, &n), *inverse = NULL, *p;

        assert_in_range(n, nodes * 12 * MIB / (PAGE_SIZE << 4),
                        nodes * 16 * MIB / (PAGE_SIZE << 4));
        while ((p = first) != NULL) {
            first = *(struct page **)page_address(p);
            *(struct page **)page_address(p) = inverse;
            inverse = p;
        }
        for (p = inverse; p && turn < nodes; p = *(struct page **)page_address(p))
            if (node_by_distance(node, (unsigned)turn) != page_to_node(p)) {
                turn++;
                assert_true(turn < nodes);
                assert_int_equal(node_by_distance(node, (unsigned)turn), page_to_node(p));
                if (turn == nodes - 1)
                    break;
            }
        assert_int_equal(turn, nodes - 1);
        free_hoard(inverse);
        pcp_drain_all(GFP_KERNEL);
    }
    assert_whole();
}

/* The CPU a thread runs on says which node is near. */
static void test_own_node(void **state)
{
    cpu_set_t all, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (unsigned cpu = 0; cpu < pool.cpus; cpu++) {
        struct page *p;

        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            continue;
        assert_int_equal(numa_node_id(), cpu_to_node(cpu));
        p = alloc_pages(GFP_KERNEL, 2);
        assert_int_equal(page_to_node(p), cpu_to_node(cpu));
        __free_pages(p, 2);
        p = alloc_pages(GFP_HIGHUSER, 2);
        assert_int_equal(page_to_node(p), cpu_to_node(cpu));
        __free_pages(p, 2);
    }
    sched_setaffinity(0, sizeof all, &all);
}

static void test_vmalloc_on_nodes(void **state)
{
    (void)state;
    for (int node = 0; node < (int)nodes; node++) {
        char *p = vmalloc_node(100 * PAGE_SIZE, node);

        assert_non_null(p);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(page_to_node(vmalloc_to_page(p + i * PAGE_SIZE)), node);
        memset(p, 1, 100 * PAGE_SIZE);
        vfree(p);
    }
    /* More than one node has: all have a part in it. */
    char *p = vmalloc(nodes * 4 * MIB - MIB);
    assert_non_null(p);
    memset(p, 1, nodes * 4 * MIB - MIB);
    vfree(p);
    vm_unmap_aliases();
    assert_whole();
}

/* A node that is asked for gives what it has, and others the rest. */
static void test_vmalloc_beyond_a_node(void **state)
{
    size_t bytes = 5 * MIB, of_it;

    (void)state;
    for (int node = 0; node < (int)nodes; node++) {
        char *p = vmalloc_node(bytes, node);

        if (nodes == 1) {
            assert_null(p);
            break;
        }
        assert_non_null(p);
        of_it = 0;
        for (size_t i = 0; i < bytes / PAGE_SIZE; i++)
            of_it += page_to_node(vmalloc_to_page(p + i * PAGE_SIZE)) == node;
        assert_in_range(of_it, 3 * MIB / PAGE_SIZE, 4 * MIB / PAGE_SIZE);
        memset(p, 1, bytes);
        vfree(p);
        vm_unmap_aliases();
    }
    assert_null(vmalloc_node(nodes * 4 * MIB + 1, 0));
    assert_whole();
}

static int shrunk_node;

static unsigned long note_node(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    shrunk_node = sc->nid;
    return 0;
}

static unsigned long free_none(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return SHRINK_STOP;
}

/* They are told which node is short. */
static void test_shrinkers_know_the_node(void **state)
{
    static struct shrinker s = {.count_objects = note_node, .scan_objects = free_none};

    (void)state;
    assert_int_equal(register_shrinker(&s), 0);
    for (int node = 0; node < (int)nodes; node++) {
        size_t n;

        shrunk_node = -1;
        free_hoard(hoard_on(node, GFP_KERNEL | __GFP_THISNODE, &n));
        assert_int_equal(shrunk_node, node);
    }
    unregister_shrinker(&s);
    assert_whole();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_shrinkers_know_the_node),
    cmocka_unit_test(test_layout),
    cmocka_unit_test(test_short_node),
    cmocka_unit_test(test_this_node),
    cmocka_unit_test(test_fallback),
    cmocka_unit_test(test_own_node),
    cmocka_unit_test(test_vmalloc_on_nodes),
    cmocka_unit_test(test_vmalloc_beyond_a_node),
};

DEFINE_GROUP(on_nodes, tests)

/* ---- A machine of three nodes, as /sys shows it ------------------------------------------------ */

static struct {
    unsigned node[8];
    uintptr_t start[8];
    size_t bytes[8];
    int n;
} bound;

static bool note_bind(void *start, size_t bytes, unsigned node)
{
    bound.node[bound.n] = node;
    bound.start[bound.n] = (uintptr_t)start;
    bound.bytes[bound.n++] = bytes;
    return true;
}

/* Nodes 0, 2 and 3; node 1 has CPUs but no memory. 2 and 3 are near each other. */
static ssize_t three_nodes(const char *path, char *text, size_t bytes)
{
    static const char *const files[][2] = {
        {"cpu/possible", "0-7\n"},
        {"node/has_memory", "0,2-3\n"},
        {"node/online", "0-3\n"},
        {"node/node0/cpulist", "0-1\n"},
        {"node/node2/cpulist", "4-5\n"},
        {"node/node3/cpulist", "6,7\n"},
        {"node/node0/distance", "10 15 30 20\n"},
        {"node/node2/distance", "30 40 10 12\n"},
        {"node/node3/distance", "20 40 12 10\n"},
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strstr(path, files[i][0]) != NULL)
            return snprintf(text, bytes, "%s", files[i][1]);
    text[0] = '\0';
    return -1;
}

static void test_real_machine(void **state)
{
    static const int order[3][3] = {{0, 2, 1}, {1, 2, 0}, {2, 1, 0}};
    static const int cpu[8] = {0, 0, 0, 0, 1, 1, 2, 2};
    static const unsigned real[3] = {0, 2, 3};

    (void)state;
    assert_int_equal(node_count(), 3);
    assert_int_equal(pool.cpus, 8);
    for (int n = 0; n < 3; n++)
        for (unsigned nth = 0; nth < 3; nth++)
            assert_int_equal(node_by_distance(n, nth), order[n][nth]);
    for (unsigned c = 0; c < 8; c++)
        assert_int_equal(cpu_to_node(c), cpu[c]);
    assert_int_equal(bound.n, 3);
    for (int n = 0; n < 3; n++) {
        struct zone *z = node_zone(n, ZONE_NORMAL);

        assert_int_equal(bound.node[n], real[n]);
        assert_in_range((uintptr_t)frame_address(z->start), bound.start[n],
                        bound.start[n] + bound.bytes[n] - 1);
        assert_in_range((uintptr_t)frame_address(z->end - 1), bound.start[n],
                        bound.start[n] + bound.bytes[n] - 1);
    }
}

static const struct CMUnitTest real_tests[] = {
    cmocka_unit_test(test_real_machine),
};

DEFINE_GROUP(real_machine, real_tests)

int main(void)
{
    int failed = 0;

    for (nodes = 1; nodes <= 4; nodes++) {
        const struct page_config c = {.pool_bytes = nodes * 16 * MIB,
                                      .highmem_bytes = nodes * 4 * MIB,
                                      .nodes = nodes};

        failed += in_child("pretended nodes", &c, on_nodes);
    }
    kmem_os.read_text = three_nodes;
    kmem_os.bind = note_bind;
    failed += in_child("real nodes",
                       &(struct page_config){.pool_bytes = 96 * MIB, .highmem_bytes = 12 * MIB},
                       real_machine);
    return failed != 0;
}
