/* What all tests of the kernel-style allocator share. */
#ifndef KERNEL_SUPPORT_H
#define KERNEL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

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
/* The same, or skips the test if the child said by its status that it cannot be done here. */
enum { SKIPPED = 77 };
void expect_well_or_skipped(void (*body)(void));

#define TEST(body)                        \
    static void test_##body(void **state) \
    {                                     \
        (void)state;                      \
        expect_well(body);                \
    }

/* 0, or the signal that ended it. */
int signal_of(const struct ending *e);

/* In a child the framework's assertions would end nothing but the child, and as if all were well. */
#define expect(what)                                               \
    do {                                                           \
        if (!(what)) {                                             \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #what); \
            _exit(1);                                              \
        }                                                          \
    } while (0)

#endif
