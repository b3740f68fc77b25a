#include "check.h"

#include "include/workload.h"
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
        cmocka_unit_test(a_stamp_shows_any_overlap),
        cmocka_unit_test(a_block_with_two_owners_is_found),
        cmocka_unit_test(a_stamp_touches_every_page),
        cmocka_unit_test(draws_below_a_bound_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
