/* What all tests of the kernel-style allocator share. */
#ifndef KERNEL_SUPPORT_H
#define KERNEL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

/* A generator: the same seed, the same sequence. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Has the C library registered restartable sequences? Under valgrind, and where they are turned off, not. */
bool machine_has_rseq(void);

/* The calling thread stays where it is. */
void stay_on_this_cpu(void);

/* Uses up what vm.max_map_count allows; false: it allows too many to try. */
bool use_up_mappings(void);

/* How a child of its own ended that called a function, and what it wrote to standard error. */
struct ending {
    int status; /* as of wait() */
    char said[8192];
};

struct ending ending_of(void (*body)(void));

/* Fails unless `body` ends with 0 in a child; and a test that is no more than that. */
void expect_well(void (*body)(void));

#define TEST(body)                        \
    static void test_##body(void **state) \
    {                                     \
        (void)state;                      \
        expect_well(body);                \
    }

/* 0, or the signal that ended it. */
int signal_of(const struct ending *e);

#endif
