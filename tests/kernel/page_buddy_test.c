/*
 * The buddy system against a model: random blocks of every order and runs of any length, stamped on every
 * page, from every zone and mobility; none may overlap, all must be aligned, and in the end all is
 * whole again.
 */
#include "page_support.h"

#include <string.h>

#include "page/inject.h"
#include "page/pcp.h"

enum { SLOTS = 1200 };

struct block {
    struct page *page;
    unsigned order;
    unsigned align; /* the same, but for runs that may lie anywhere */
    size_t run;     /* frames of a run; 0: a block of that order */
    uint64_t stamp;
};

static struct block block[SLOTS];

static size_t frames(const struct block *b)
{
    return b->run ? b->run : (size_t)1 << b->order;
}

/* Every page says whose it is, at both ends. */
static void stamp(const struct block *b)
{
    for (size_t i = 0; i < frames(b); i++) {
        uint64_t *page = (uint64_t *)((char *)page_address(b->page) + i * PAGE_SIZE);

        page[0] = b->stamp + i;
        page[PAGE_SIZE / 8 - 1] = ~(b->stamp + i);
    }
}

static void verify(const struct block *b)
{
    for (size_t i = 0; i < frames(b); i++) {
        uint64_t *page = (uint64_t *)((char *)page_address(b->page) + i * PAGE_SIZE);

        assert_int_equal(page[0], b->stamp + i);
        assert_int_equal(page[PAGE_SIZE / 8 - 1], ~(b->stamp + i));
    }
}

static bool is_zero(const struct block *b)
{
    const char *at = page_address(b->page);
    size_t bytes = frames(b) << PAGE_SHIFT;

    return at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

static gfp_t random_gfp(uint64_t *random)
{
    static const gfp_t base[] = {GFP_KERNEL,           GFP_KERNEL | __GFP_RECLAIMABLE,
                                 GFP_KERNEL | GFP_DMA, GFP_HIGHUSER,
                                 GFP_ATOMIC,           GFP_NOWAIT};
    gfp_t gfp = base[next_random(random) % 6] | __GFP_NORETRY;

    return next_random(random) % 4 == 0 ? gfp | __GFP_ZERO : gfp;
}

static void check_new(const struct block *b, gfp_t gfp)
{
    char *address = page_address(b->page);

    assert_true(in_page_pool(address));
    assert_ptr_equal(virt_to_page(address), b->page);
    assert_int_equal((uintptr_t)address & ((PAGE_SIZE << b->align) - 1), 0);
    assert_int_equal(page_frames(b->page), frames(b));
    for (size_t i = 0; i < frames(b); i++)
        assert_ptr_equal(page_head(b->page + i), b->page);
    if (gfp & __GFP_ZERO || page_was_absent(b->page))
        assert_true(is_zero(b));
    if (gfp & GFP_DMA)
        assert_int_equal(frame_zone(page_to_frame(b->page))->kind, ZONE_DMA);
}

/* What a test refuses, if it does, and how often somebody else was served meanwhile. */
static const struct fail_attr *refused;
static size_t others_served;

static void judge(gfp_t gfp, const struct page *got)
{
    bool meant = refused && (gfp & refused->mask) == refused->match;

    if (meant)
        assert_null(got);
    else if (got)
        others_served++;
}

static void fill(struct block *b, uint64_t *random)
{
    gfp_t gfp = random_gfp(random);

    b->order = (unsigned)__builtin_ctzl(next_random(random) | 1u << MAX_PAGE_ORDER);
    b->run = next_random(random) % 2 ? 0 : 1 + next_random(random) % ((size_t)1 << b->order);
    b->align = b->run && next_random(random) % 2 ? 0 : b->order;
    b->page = b->run ? alloc_page_run(gfp, b->run, b->align) : alloc_pages(gfp, b->order);
    judge(gfp, b->page);
    if (!b->page)
        return;
    check_new(b, gfp);
    b->stamp = next_random(random);
    stamp(b);
}

static void empty(struct block *b)
{
    verify(b);
    if (b->run)
        free_page_run(b->page);
    else
        __free_pages(b->page, b->order);
    b->page = NULL;
}

/* Longer if there is room, or shorter: what stays keeps its contents, what is new is nobody's. */
static void resize(struct block *b, uint64_t *random)
{
    size_t old = frames(b), new = 1 + next_random(random) % (2 * old);
    bool done = resize_page_run(b->page, new, NULL);

    assert_true(done || new > old);
    if (!done)
        new = old;
    assert_int_equal(page_frames(b->page), new);
    b->run = new < old ? new : old;
    verify(b);
    b->run = new;
    stamp(b);
}

static void empty_all(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (block[i].page)
            empty(&block[i]);
}

/* With nothing allocated all that was ever given out is in whole blocks of the largest order. */
static void assert_all_whole_blocks(void)
{
    pcp_drain_all(GFP_KERNEL);
    assert_whole();
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        size_t whole = z->frontier & ~(MAX_ORDER_NR_PAGES - 1);

        assert_int_equal(zone_used_frames(z), 0);
        for (size_t frame = z->start; frame < whole; frame += MAX_ORDER_NR_PAGES)
            assert_int_equal(frame_state(frame) & ~(unsigned)PAGE_IS_ABSENT,
                             PAGE_IS_FREE | MAX_PAGE_ORDER);
    }
}

static void use_at_random(uint64_t seed, int steps)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15u;

    for (int i = 0; i < steps; i++) {
        struct block *b = &block[next_random(&random) % SLOTS];

        if (b->page && next_random(&random) % 4 == 0)
            resize(b, &random);
        else if (b->page)
            empty(b);
        else
            fill(b, &random);
        if (i % 500 == 0)
            assert_whole();
        if (i % 1500 == 0)
            kmem_pages_release(next_random(&random) % (16 * MIB));
    }
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        use_at_random(seed, 12000);
        empty_all();
        assert_all_whole_blocks();
    }
}

/* The same with one context after another refused, in all forms of the call; the others are served. */
static void test_random_with_refused_contexts(void **state)
{
    enum { WAITS = __GFP_DIRECT_RECLAIM | __GFP_HIGH };
    static const struct fail_attr contexts[] = {
        {.mask = __GFP_DIRECT_RECLAIM, .match = __GFP_DIRECT_RECLAIM},
        {.mask = WAITS, .match = __GFP_HIGH}, /* GFP_ATOMIC */
        {.mask = WAITS, .match = 0},          /* GFP_NOWAIT */
        {.mask = __GFP_RECLAIMABLE, .match = __GFP_RECLAIMABLE},
        {.mask = __GFP_DMA, .match = __GFP_DMA},
        {.mask = __GFP_HIGHMEM, .match = __GFP_HIGHMEM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        struct fail_attr pages = contexts[i];

        pages.of_1024 = 1024;
        pages.random = 1;
        use_at_random(20 + i,
                      500); /* something is present, for those who must not enter the system */
        others_served = 0;
        refused = &pages;
        kmem_inject(&pages, NULL);
        use_at_random(40 + i, 1000);
        kmem_inject(NULL, NULL);
        refused = NULL;
        assert_true(pages.refused > 0 && others_served > 0);
        empty_all();
        assert_all_whole_blocks();
    }
}

/* Every order, until there is no more; then all of it again as blocks of the largest order. */
static void test_every_order_to_the_end(void **state)
{
    (void)state;
    for (unsigned order = 0; order < NR_PAGE_ORDERS; order++) {
        struct page *first = NULL, *p;
        size_t n = 0, most = 0;

        while ((p = alloc_pages(GFP_KERNEL | __GFP_NORETRY, order)) != NULL) {
            *(struct page **)page_address(p) = first;
            first = p;
            n++;
        }
        for (struct zone *z = zone_first(); z; z = zone_next(z))
            if (z->kind != ZONE_HIGHMEM)
                most += (z->end - z->start) >> order;
        /* All but the watermarks, which may cost a block or two of the largest order. */
        assert_in_range(n + 2, most * 8 / 10, most + 2);
        assert_whole();
        for (; first; first = p) {
            p = *(struct page **)page_address(first);
            __free_pages(first, order);
        }
        assert_all_whole_blocks();
    }
    assert_null(alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER + 1));
}

/* Fresh memory comes from low addresses, in order; the block freed last is the next one. */
static void test_order_of_addresses(void **state)
{
    struct page *a = alloc_pages(GFP_KERNEL, 4), *b = alloc_pages(GFP_KERNEL, 4), *again;

    (void)state;
    __free_pages(a, 4);
    again = alloc_pages(GFP_KERNEL, 4);
    assert_ptr_equal(again, a);
    for (unsigned order = 0; order < 4; order++) {
        struct page *hot = alloc_pages(GFP_KERNEL, order);

        __free_pages(hot, order);
        assert_ptr_equal(alloc_pages(GFP_KERNEL, order), hot);
        __free_pages(hot, order);
    }
    __free_pages(again, 4);
    __free_pages(b, 4);
}

static size_t pageblock(const struct page *p)
{
    return page_to_frame(p) >> MAX_PAGE_ORDER;
}

/* Reclaimable and other pages share no 4 MiB block as long as there is another. */
static void test_mobility(void **state)
{
    enum { N = 400 };
    static struct page *p[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        p[i] = alloc_pages(i % 2 ? GFP_KERNEL | __GFP_RECLAIMABLE : GFP_KERNEL, i % 3);
        assert_non_null(p[i]);
    }
    for (size_t i = 0; i < N; i += 2)
        for (size_t j = 1; j < N; j += 2)
            assert_int_not_equal(pageblock(p[i]), pageblock(p[j]));
    for (size_t i = 0; i < N; i++)
        __free_pages(p[i], i % 3);
    assert_all_whole_blocks();
}

/* A page just purged is known to read as zero, and does. */
static void test_known_zero(void **state)
{
    struct block b = {.order = 5, .stamp = 7};

    (void)state;
    b.page = alloc_pages(GFP_KERNEL, b.order);
    stamp(&b);
    __free_pages(b.page, b.order);
    kmem_pages_release(0);
    b.page = alloc_pages(GFP_KERNEL, b.order);
    assert_true(page_was_absent(b.page));
    assert_true(is_zero(&b));
    stamp(&b);
    __free_pages(b.page, b.order);
    b.page = alloc_pages(GFP_KERNEL, b.order);
    assert_false(page_was_absent(b.page));
    __free_pages(b.page, b.order);
    b.page = alloc_pages(GFP_KERNEL | __GFP_ZERO, b.order);
    assert_true(is_zero(&b));
    __free_pages(b.page, b.order);
}

/* What a run does not need is free for others, as it was: untouched stays untouched. */
static void test_run_gives_its_tail_back(void **state)
{
    struct page_stats before, held, after;
    struct page *run, *next;
    size_t absent;

    (void)state;
    pcp_drain_all(GFP_KERNEL);
    kmem_pages_release(0);
    kmem_pages_stats(&before);
    assert_int_equal(before.used_bytes + before.present_bytes + before.absent_bytes,
                     before.pool_bytes); /* memory beyond the frontier among it */
    run = alloc_page_run(GFP_KERNEL, 37, 6);
    kmem_pages_stats(&held);
    assert_int_equal(held.used_bytes - before.used_bytes, 37 * PAGE_SIZE);
    assert_int_equal(held.present_bytes, before.present_bytes);
    assert_int_equal(page_frames(run), 37);
    assert_ptr_equal(page_head(run + 36), run);
    assert_null(alloc_page_run(GFP_KERNEL, MAX_ORDER_NR_PAGES + 1, 0));
    assert_whole();
    /* Into what is free behind, but not into what is not. */
    assert_true(resize_page_run(run, 40, &absent));
    assert_int_equal(absent, 3);
    next = alloc_page_run(GFP_KERNEL, 24, 0 + 5);
    assert_ptr_equal(next, run + 64);
    assert_true(resize_page_run(run, 64, &absent));
    assert_int_equal(absent, 24);
    assert_int_equal(page_order(run), 6);
    assert_false(resize_page_run(run, 65, &absent));
    assert_int_equal(absent, 0);
    assert_int_equal(page_frames(run), 64);
    assert_true(resize_page_run(run, 1, &absent));
    assert_int_equal(absent, 0);
    assert_true(resize_page_run(run, 64, &absent)); /* what was given back is present */
    assert_int_equal(absent, 0);
    assert_true(resize_page_run(run, 1, NULL));
    assert_whole();
    free_page_run(run);
    free_page_run(next);
    pcp_drain_all(GFP_KERNEL);
    kmem_pages_stats(&after);
    assert_int_equal(after.used_bytes, before.used_bytes);
    kmem_pages_release(0);
    assert_whole();
}

/* A run takes the lowest gap of touched pages that is long enough, be it a block or not. */
static void test_run_fills_gaps(void **state)
{
    struct page *p[4], *run;

    (void)state;
    pcp_drain_all(GFP_KERNEL);
    kmem_pages_release(0);
    for (int i = 0; i < 4; i++)
        p[i] = alloc_pages(GFP_KERNEL, 5);
    for (int i = 1; i < 4; i++)
        assert_ptr_equal(p[i], p[i - 1] + 32);
    assert_true(resize_page_run(p[0], 23, NULL));
    assert_true(resize_page_run(p[2], 12, NULL));
    /* 9 touched pages behind the first, 20 behind the third. */
    run = alloc_page_run(GFP_KERNEL, 17, 0);
    assert_ptr_equal(run, p[2] + 12);
    assert_false(page_was_absent(run));
    free_page_run(p[1]);
    p[1] = alloc_page_run(GFP_KERNEL, 41, 0); /* more than any block there */
    assert_ptr_equal(p[1], p[0] + 23);
    assert_whole();
    for (int i = 0; i < 4; i++)
        free_page_run(p[i]);
    free_page_run(run);
    assert_all_whole_blocks();
}

static void test_bulk(void **state)
{
    enum { N = 200 };
    static struct page *p[N];
    size_t runs = 1;

    (void)state;
    assert_int_equal(alloc_pages_bulk_node(NUMA_NO_NODE, GFP_KERNEL, N, p), N);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(page_order(p[i]), 0);
    for (size_t i = 1; i < N; i++)
        runs += p[i] != p[i - 1] + 1;
    assert_in_range(runs, 1, N / 4);
    assert_whole();
    for (size_t i = 0; i < N; i++)
        __free_pages(p[i], 0);
    assert_all_whole_blocks();
}

/* What one damaged byte or link does must be seen by the check. */
static void test_check_sees_damage(void **state)
{
    char why[200] = "";
    struct page *p = alloc_pages(GFP_KERNEL, 6), *q = alloc_pages(GFP_KERNEL, 6);
    size_t frame = page_to_frame(p);
    uint8_t *s = &page_globals.state[frame];

    (void)state;
    s[3] ^= PAGE_IS_FREE;
    assert_false(kmem_pages_check(why, sizeof why));
    assert_non_null(strstr(why, "does not belong to the block"));
    s[3] ^= PAGE_IS_FREE;
    __free_pages(p, 6);
    struct page *head = p;
    while ((frame_state(page_to_frame(head)) & PAGE_WHOSE_MASK) != PAGE_IS_FREE)
        head--;
    head->buddy.absent++;
    assert_false(kmem_pages_check(why, sizeof why));
    assert_non_null(strstr(why, "miscounts"));
    head->buddy.absent--;
    frame_zone(frame)->present++;
    assert_false(kmem_pages_check(why, sizeof why));
    frame_zone(frame)->present--;
    assert_whole();
    __free_pages(q, 6);
}

/* In a pool of a few pageblocks mobilities must mix. */
static const struct CMUnitTest few_blocks_tests[] = {
    cmocka_unit_test(test_order_of_addresses),
    cmocka_unit_test(test_run_gives_its_tail_back),
    cmocka_unit_test(test_run_fills_gaps),
    cmocka_unit_test(test_random),
    cmocka_unit_test(test_random_with_refused_contexts),
    cmocka_unit_test(test_every_order_to_the_end),
    cmocka_unit_test(test_known_zero),
    cmocka_unit_test(test_bulk),
    cmocka_unit_test(test_check_sees_damage),
};

static const struct CMUnitTest mobility_tests[] = {
    cmocka_unit_test(test_mobility),
};

DEFINE_GROUP(few_blocks, few_blocks_tests)
DEFINE_GROUP(mobility, mobility_tests)

static int buddy(void)
{
    return few_blocks() + mobility();
}

int main(void)
{
    const struct page_config tiny = {.pool_bytes = 16 * MIB, .highmem_bytes = 4 * MIB, .nodes = 1};
    const struct page_config usual = {.pool_bytes = 96 * MIB,
                                      .highmem_bytes = 32 * MIB,
                                      .nodes = 1};
    const struct page_config shared = {.pool_bytes = 64 * MIB,
                                       .backing = BACKING_MEMFD,
                                       .nodes = 1};
    const struct page_config nodes = {.pool_bytes = 96 * MIB,
                                      .highmem_bytes = 32 * MIB,
                                      .nodes = 3};
    int failed = in_child("tiny", &tiny, few_blocks) + in_child("usual", &usual, buddy) +
                 in_child("shared", &shared, buddy) + in_child("nodes", &nodes, buddy);

    return failed != 0;
}
