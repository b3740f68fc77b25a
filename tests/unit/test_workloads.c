#include "check.h"

#include "include/workload.h"
#include "workloads/kmalloc_mix.h"
#include "workloads/page_orders.h"
#include "workloads/sizemix.h"

/* The published shape that sizemix promises. */
static void sizemix_has_the_shape_of_a_fleet(void **state)
{
    enum { N = 1000000 };
    uint64_t rng = 5;
    int at_most_48 = 0, at_most_64 = 0, at_most_8k = 0, above_256k = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        uint32_t size = sizemix_draw(&rng);
        assert_in_range(size, 1, 1 << 20);
        at_most_48 += size <= 48;
        at_most_64 += size <= 64;
        at_most_8k += size <= 8192;
        above_256k += size > 256 << 10;
    }
    assert_in_range(at_most_48, N / 2, N * 0.56); /* the median is at most 48 */
    assert_in_range(at_most_64, N * 0.60, N * 0.70);
    assert_in_range(at_most_8k, N * 0.984, N * 0.988);
    assert_in_range(above_256k, 1, N * 0.002); /* a tail there is */
}

/* The recorded shapes that kmalloc-mix and page-orders promise, within half a percent of all. */
static void kmalloc_mix_has_the_shape_of_a_running_kernel(void **state)
{
    enum { N = 1000000 };
    uint64_t rng = 5;
    int short_96 = 0, short_page = 0, lasting_96 = 0, lasting_512 = 0, lasting_large = 0;
    int reclaimable = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        struct kmalloc_draw draw = kmalloc_mix_draw(false, &rng);
        assert_in_range(draw.size, 1, 4096);
        assert_false(draw.is_reclaimable);
        short_96 += draw.size <= 96;
        short_page += draw.size > 2048;
        draw = kmalloc_mix_draw(true, &rng);
        assert_in_range(draw.size, 1, 8192);
        lasting_96 += draw.size <= 96;
        lasting_512 += draw.size <= 512;
        lasting_large += draw.size > 4096;
        reclaimable += draw.is_reclaimable;
        if (draw.is_reclaimable)
            assert_in_range(draw.size, 65, 192);
    }
    assert_in_range(short_96, N * 0.568, N * 0.578);
    assert_in_range(short_page, N * 0.264, N * 0.274);
    assert_in_range(lasting_96, N * 0.639, N * 0.649);
    assert_in_range(lasting_512, N * 0.953, N * 0.963);
    assert_in_range(lasting_large, N * 0.0005, N * 0.0015);
    assert_in_range(reclaimable, N * 0.303, N * 0.313);
}

static void page_orders_are_mostly_single_pages(void **state)
{
    enum { N = 1000000 };
    uint64_t rng = 5;
    int seen[11] = {0};
    (void)state;
    for (int i = 0; i < N; i++) {
        uint32_t order = page_orders_draw(&rng);
        assert_in_range(order, 0, 10);
        seen[order]++;
    }
    assert_in_range(seen[0], N * 0.988, N * 0.991);
    assert_in_range(seen[3], N * 0.004, N * 0.005);
    assert_in_range(seen[9], 1, N * 0.0001);
    assert_int_equal(seen[10], 0);
}

static void a_stamp_shows_any_overlap(void **state)
{
    char memory[64];
    (void)state;
    for (size_t size = 1; size <= 48; size++) {
        stamp_write(memory, size);
        assert_true(stamp_is_whole(memory, size));
        memory[0] ^= 1;
        assert_false(stamp_is_whole(memory, size));
        memory[0] ^= 1;
        if (size >= 16) {
            memory[size - 1] ^= 1;
            assert_false(stamp_is_whole(memory, size));
        }
    }
    /* A block in the middle of another one. */
    stamp_write(memory, 48);
    stamp_write(memory + 40, 16);
    assert_false(stamp_is_whole(memory, 48));
}

static void a_block_with_two_owners_is_found(void **state)
{
    char memory[64];
    struct worker w = {0};
    (void)state;
    for (size_t size = 1; size <= sizeof memory; size++) {
        stamp_write(memory, size); /* the first owner */
        stamp_write(memory, size); /* the second: the stamp is the same */
        stamp_take(&w, memory, size);
        assert_false(stamp_is_whole(memory, size));
    }
}

static void a_stamp_touches_every_page(void **state)
{
    size_t size = 10 * STAMP_PAGE_BYTES;
    unsigned char *memory = malloc(size);
    (void)state;
    memset(memory, 0xee, size);
    stamp_write(memory, size);
    assert_true(stamp_is_whole(memory, size));
    for (size_t page = 1; page < 10; page++)
        assert_int_not_equal(memory[page * STAMP_PAGE_BYTES], 0xee);
    free(memory);
}

static void draws_below_a_bound_are_even(void **state)
{
    enum { BOUND = 10, N = 100000 };
    int seen[BOUND] = {0};
    uint64_t rng = 9;
    (void)state;
    for (int i = 0; i < N; i++)
        seen[rng_below(&rng, BOUND)]++;
    for (int i = 0; i < BOUND; i++)
        assert_in_range(seen[i], N / BOUND * 0.95, N / BOUND * 1.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizemix_has_the_shape_of_a_fleet),
        cmocka_unit_test(kmalloc_mix_has_the_shape_of_a_running_kernel),
        cmocka_unit_test(page_orders_are_mostly_single_pages),
        cmocka_unit_test(a_stamp_shows_any_overlap),
        cmocka_unit_test(a_block_with_two_owners_is_found),
        cmocka_unit_test(a_stamp_touches_every_page),
        cmocka_unit_test(draws_below_a_bound_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
