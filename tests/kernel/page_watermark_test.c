/*
 * How much a zone leaves to others, to the frame: what each context may take of what is free, what runs may
 * take and grow into, and what goes back to the system.
 */
#include "page_support.h"

#include <stdint.h>

#include "page/pcp.h"

static struct zone *normal(void)
{
    return node_zone(0, ZONE_NORMAL);
}

static void set_watermarks(size_t min, size_t low)
{
    normal()->watermark[WMARK_MIN] = min;
    normal()->watermark[WMARK_LOW] = low;
}

/* One frame, which goes back at once. */
static bool serves(struct zone *z, gfp_t gfp, enum zone_kind highest, enum urgency u)
{
    size_t frame;

    lock_take(&z->lock);
    frame = zone_take(z, gfp, 0, highest, u);
    if (frame != NO_FRAME)
        buddy_put(z, frame, 0);
    lock_drop(&z->lock);
    return frame != NO_FRAME;
}

/* So many of what is free, and all that is present, that the last case decides. */
static size_t some_free(void)
{
    __free_pages(alloc_pages(GFP_KERNEL, 6), 6);
    pcp_drain_all(GFP_KERNEL);
    return zone_free_frames(normal());
}

static void test_contexts(void **state)
{
    /* `of`: the watermark that holds, or a quarter of min. */
    enum { LOW, MIN, QUARTER };
    static const struct {
        gfp_t gfp;
        enum urgency urgency;
        int of;
    } cases[] = {
        {GFP_KERNEL, WITHIN_LOW, LOW},     {GFP_KERNEL, WITHIN_MIN, MIN},
        {GFP_KERNEL, DESPERATE, QUARTER},  {GFP_NOWAIT, WITHIN_LOW, LOW},
        {GFP_NOWAIT, WITHIN_MIN, MIN},     {GFP_ATOMIC, WITHIN_LOW, QUARTER},
        {GFP_ATOMIC, WITHIN_MIN, QUARTER},
    };
    size_t saved_min = normal()->watermark[WMARK_MIN], saved_low = normal()->watermark[WMARK_LOW];
    size_t n = some_free();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t leave = n - 1; leave <= n; leave++) {
            size_t none = cases[i].of == LOW ? 0 : SIZE_MAX / 2;

            set_watermarks(cases[i].of == MIN       ? leave
                           : cases[i].of == QUARTER ? leave * 4
                                                    : 0,
                           cases[i].of == LOW ? leave : none);
            if (serves(normal(), cases[i].gfp, ZONE_NORMAL, cases[i].urgency) != (leave < n))
                fail_msg("case %zu, %zu of %zu frames to be left", i, leave, n);
        }
    set_watermarks(saved_min, saved_low);
}

/*
 * A CPU's list is filled down to the low watermark, whoever asks for it. Below, the lists are closed: each page
 * is asked for in the zone and goes back there, until enough is free.
 */
static void test_lists(void **state)
{
    const gfp_t contexts[] = {GFP_KERNEL, GFP_NOWAIT, GFP_ATOMIC};
    struct zone *z = normal(), *dma = node_zone(0, ZONE_DMA);
    size_t saved_min = z->watermark[WMARK_MIN], saved_low = z->watermark[WMARK_LOW];
    size_t saved_lowmem = dma->lowmem_reserve;

    (void)state;
    stay_on_this_cpu();
    dma->lowmem_reserve = SIZE_MAX / 2; /* does not help out */
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        struct page *p[7];
        size_t n = some_free();

        set_watermarks(n - 7, n - 5);
        for (int k = 0; k < 7; k++) {
            p[k] = alloc_pages(contexts[i], 0);
            assert_non_null(p[k]);
            /* The list gets five at once; then each comes by itself. */
            assert_int_equal(zone_free_frames(z), k < 5 ? n - 5 : n - 1 - (size_t)k);
            assert_int_equal(zone_is_short(z), k >= 5);
        }
        for (int k = 6; k >= 0; k--)
            __free_pages(p[k], 0);
        /* Two went to the zone, and then the list served again. */
        assert_int_equal(zone_free_frames(z), n - 5);
        assert_false(zone_is_short(z));
        set_watermarks(saved_min, saved_low);
        pcp_drain_all(GFP_KERNEL);
        assert_int_equal(zone_free_frames(z), n);
    }
    dma->lowmem_reserve = saved_lowmem;
    assert_whole();
}

/* What zone DMA keeps from those who could have been served elsewhere. */
static void test_lowmem_reserve(void **state)
{
    struct zone *z = node_zone(0, ZONE_DMA);
    size_t n = zone_free_frames(z), saved = z->lowmem_reserve;

    (void)state;
    assert_true(saved > 0);
    z->lowmem_reserve = n - z->watermark[WMARK_LOW];
    assert_false(serves(z, GFP_KERNEL, ZONE_NORMAL, WITHIN_LOW));
    assert_true(serves(z, GFP_KERNEL | GFP_DMA, ZONE_DMA, WITHIN_LOW));
    z->lowmem_reserve--;
    assert_true(serves(z, GFP_KERNEL, ZONE_NORMAL, WITHIN_LOW));
    z->lowmem_reserve = saved;
}

static bool spans(size_t count)
{
    struct zone *z = normal();
    size_t frame;

    lock_take(&z->lock);
    frame = zone_take_span(z, UNMOVABLE, count);
    for (size_t i = 0; frame != NO_FRAME && i < count; i++)
        buddy_put(z, frame + i, 0);
    lock_drop(&z->lock);
    return frame != NO_FRAME;
}

/* Runs of fragments, and runs that grow where they lie, leave what others may need. */
static void test_runs(void **state)
{
    struct zone *z = normal();
    size_t saved = z->watermark[WMARK_LOW], n = some_free();
    struct page *run = alloc_page_run(GFP_KERNEL, 40, 6);
    bool taken, open, closed;

    (void)state;
    n = zone_free_frames(z);
    z->watermark[WMARK_LOW] = n - 10;
    assert_true(spans(10));
    assert_false(spans(11));
    assert_false(resize_page_run(run, 51, NULL));
    assert_true(resize_page_run(run, 50, NULL));
    assert_int_equal(page_frames(run), 50);
    assert_int_equal(zone_free_frames(z), n - 10);
    assert_false(resize_page_run(run, 51, NULL));
    assert_true(resize_page_run(run, 40, NULL));
    /* Whoever takes what is left above the watermark, and more, closes the lists. */
    lock_take(&z->lock);
    taken = buddy_take_at(z, page_to_frame(run) + 40, 10);
    open = !zone_is_short(z);
    taken &= buddy_take_at(z, page_to_frame(run) + 50, 1);
    closed = zone_is_short(z);
    for (size_t i = 40; taken && i < 51; i++)
        buddy_put(z, page_to_frame(run) + i, 0);
    lock_drop(&z->lock);
    assert_true(taken && open && closed && !zone_is_short(z));
    z->watermark[WMARK_LOW] = saved;
    /* The reserve is for GFP_ATOMIC; where there is none, all may be present. */
    z->reserve = z->present - 10;
    assert_true(spans(10));
    assert_false(spans(11));
    z->reserve = 0;
    assert_true(spans(11));
    free_page_run(run);
    assert_whole();
}

/* Memory in use within the last seconds stays; what is beyond it goes, in whole blocks. */
static void test_steady_state_policy(void **state)
{
    struct zone *z = normal();
    struct hoard h = {0};
    size_t released;

    (void)state;
    hoard_all(&h, GFP_KERNEL | __GFP_NORETRY, 0);
    hoard_free(&h, 0, SIZE_MAX);
    pcp_drain_all(GFP_KERNEL);
    released = z->released;
    for (int i = 0; i < 3; i++) {
        hoard_all(&h, GFP_KERNEL | __GFP_NORETRY, 0);
        hoard_free(&h, 0, SIZE_MAX);
    }
    assert_int_equal(z->released, released);
    assert_true(z->present > 8 * MAX_ORDER_NR_PAGES);
    /* A page in a CPU's list keeps its 4 MiB block from being whole, and a thread that was moved leaves
     * such pages in two lists. */
    pcp_drain_all(GFP_KERNEL);
    /* As if ten seconds had passed. */
    z->peak.now = z->peak.before = 0;
    struct page *p = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
    __free_pages(p, MAX_PAGE_ORDER);
    assert_true(z->released > released);
    assert_in_range(z->present, 0, 2 * MAX_ORDER_NR_PAGES + 256);
    assert_whole();
}

static uint64_t clock_ms;

static uint64_t told_ms(void)
{
    return clock_ms;
}

/* Blocks of 64 KiB come and go, out of fragments: no pageblock comes to be whole. */
static void work_lightly(unsigned ms)
{
    for (unsigned ended = 0; ended < ms; ended += 100) {
        clock_ms += 100;
        for (int i = 0; i < 64; i++) {
            struct page *p = alloc_pages(GFP_KERNEL, 4);

            assert_non_null(p);
            __free_pages(p, 4);
        }
    }
}

/* All there is but for single pages here and there, used once. */
static void use_all(struct hoard *pins)
{
    struct hoard all = {0};

    while (hoard_one(&all, GFP_KERNEL | __GFP_NORETRY, 8) &&
           (pins->n >= 64 || hoard_one(pins, GFP_KERNEL | __GFP_NORETRY, 0)))
        for (struct page *p = all.first; p; p = NULL)
            memset(page_address(p) + sizeof p, 1, PAGE_SIZE);
    hoard_free(&all, 8, SIZE_MAX);
}

/* The same where nothing makes a whole pageblock: who comes by later sees to it. */
static void test_idle_blocks_go_back(void **state)
{
    struct zone *z = normal();
    struct hoard pins = {0};
    size_t released, present;

    (void)state;
    clock_ms = os_now_ms() + 20000;
    kmem_os.now_ms = told_ms;
    work_lightly(100);
    use_all(&pins);
    released = z->released;
    present = z->present;
    assert_true(present > 8 * MAX_ORDER_NR_PAGES);
    /* Somebody who wants it again within seconds finds it. */
    for (int i = 0; i < 30; i++) {
        work_lightly(1000);
        use_all(&pins);
    }
    assert_int_equal(z->released, released);
    work_lightly(4000);
    assert_int_equal(z->released, released);
    /* What may not enter the system gives nothing back. */
    clock_ms += 20000;
    for (int i = 0; i < 1000; i++) {
        bool was = atomic_begin(GFP_ATOMIC);
        struct page *p = alloc_pages(GFP_ATOMIC, 4);

        __free_pages(p, 4);
        atomic_end(was);
    }
    assert_int_equal(z->released, released);
    work_lightly(1000);
    assert_in_range(z->present, 0, 2 * 256);
    assert_true(z->released > released);
    hoard_free(&pins, 0, SIZE_MAX);
    assert_whole();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_contexts),
    cmocka_unit_test(test_lists),
    cmocka_unit_test(test_lowmem_reserve),
    cmocka_unit_test(test_runs),
    cmocka_unit_test(test_steady_state_policy),
    cmocka_unit_test(test_idle_blocks_go_back), /* last: its clock stays */
};

DEFINE_GROUP(watermarks, tests)

/* ---- Where the program says what is to stay, for which there is no way back ---------------------- */

/* So much is made readable at a time. */
static void test_pad_grows(void **state)
{
    enum { PAD = 32 };
    struct zone *z = normal();
    size_t committed = z->committed;

    (void)state;
    kmem_pages_pad(PAD * MIB);
    while (z->committed == committed)
        assert_non_null(alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER));
    assert_int_equal(z->committed - committed, PAD * MIB / PAGE_SIZE);
    kmem_pages_pad(0);
}

static size_t surplus(struct zone *z)
{
    size_t frames;

    lock_take(&z->lock);
    frames = zone_surplus(z);
    lock_drop(&z->lock);
    return frames;
}

/* However little is to stay present, the reserve is, and the pad if that is more. */
static void test_reserve_stays(void **state)
{
    struct zone *z = normal();

    (void)state;
    kmem_pages_keep(0);
    some_free();
    assert_true(z->present > 30);
    assert_int_equal(surplus(z), z->present);
    z->reserve = z->present - 10;
    assert_int_equal(surplus(z), 10);
    kmem_pages_pad((z->present - 5) * PAGE_SIZE);
    assert_int_equal(surplus(z), 5);
    kmem_pages_pad(0);
    z->reserve = z->present + 10;
    assert_int_equal(surplus(z), 0);
    z->reserve = 0;
}

/* Much goes in parts, 64 MiB for each look, lest one call pays for all. */
static void test_idle_goes_in_parts(void **state)
{
    enum { BLOCKS = 40, PART = 16 };
    struct zone *z = normal();
    struct page *p[BLOCKS];
    size_t released;

    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(p[i] = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER));
    kmem_pages_keep(SIZE_MAX);
    for (int i = 0; i < BLOCKS; i++)
        __free_pages(p[i], MAX_PAGE_ORDER);
    kmem_pages_keep(0);
    for (int left = BLOCKS; left > PART; left -= PART) {
        released = z->released;
        assert_true(zone_release_idle(z));
        assert_int_equal(z->released - released, PART * MAX_ORDER_NR_PAGES);
    }
    assert_false(zone_release_idle(z));
    assert_int_equal(z->present, 0);
    assert_whole();
}

static const struct CMUnitTest chosen_tests[] = {
    cmocka_unit_test(test_pad_grows),
    cmocka_unit_test(test_reserve_stays),
    cmocka_unit_test(test_idle_goes_in_parts),
};

DEFINE_GROUP(chosen, chosen_tests)

int main(void)
{
    const struct page_config large = {.pool_bytes = 512 * MIB,
                                      .highmem_bytes = 4 * MIB,
                                      .nodes = 1};
    const struct page_config c = {.pool_bytes = 64 * MIB,
                                  .highmem_bytes = 4 * MIB,
                                  .nodes = 1,
                                  .min_bytes = 2 * MIB};

    return in_child("watermarks", &c, watermarks) + in_child("chosen", &large, chosen) != 0;
}
