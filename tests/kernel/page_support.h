/*
 * What the tests of pages and vmalloc share: a pool can be started once in a process, so each
 * configuration has its tests in a child of its own.
 */
#ifndef PAGE_SUPPORT_H
#define PAGE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kmem.h"
#include "os.h"
#include "page/page.h"
#include "vmalloc/vmalloc.h"

#define MIB ((size_t)1 << 20)

/* Starts a pool in a child and calls `run` there, whose result is the child's exit code; 0: well. */
int in_child(const char *name, const struct page_config *config, int (*run)(void));

/* Runs a group in such a child: run_group("name", &config, tests). */
#define DEFINE_GROUP(name, tests)                                     \
    static int name(void)                                             \
    {                                                                 \
        return cmocka_run_group_tests_name(#name, tests, NULL, NULL); \
    }

/* Fails the test unless pages and vmalloc are whole. */
void assert_whole(void);

/* A generator: the same seed, the same sequence. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/*
 * The system behind the allocator, refusing as these say. Installed by refuse_start(), which must
 * come before the pool's start or when no thread is in it.
 */
struct refusal {
    bool reserve, commit, map, purge, populate, memfd, map_memfd, hide, bind;
    unsigned of_16; /* calls refused at random, of 16, of those named above; 16: all */
    uint64_t random;
    size_t calls; /* into the system, refused or not */
    size_t refused;
};

extern struct refusal refusal;

void refuse_start(void);

/* Calls into the system so far, for those that must make none. */
size_t system_calls(void);

#endif
