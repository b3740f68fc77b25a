/*
 * What the tests of pages and vmalloc share: a pool can be started once in a process, so each
 * configuration has its tests in a child of its own.
 */
#ifndef PAGE_SUPPORT_H
#define PAGE_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmem.h"
#include "os.h"
#include "page/page.h"
#include "support.h"
#include "vmalloc/vmalloc.h"

/* 64 MiB with a reserve of 2: private memory with some HIGHMEM, and memory that vmalloc can map again. */
extern const struct page_config usual_pool, shared_pool;

/* Starts a pool in a child and calls `run` there, whose result is the child's exit code; 0: well. */
int in_child(const char *name, const struct page_config *config, int (*run)(void));

/* Runs a group in such a child: run_group("name", &config, tests). */
#define DEFINE_GROUP(name, tests)                                     \
    static int name(void)                                             \
    {                                                                 \
        return cmocka_run_group_tests_name(#name, tests, NULL, NULL); \
    }

/* Runs tests of vmalloc in pools of one node and of two; the number that failed. */
int in_vmalloc_pools(int (*one)(void), int (*two)(void));

/* The process may fork while it uses pages and vmalloc: what SLUB does where it was started. */
void handle_forks(void);

/* Blocks kept in a list through their first word. */
struct hoard {
    struct page *first;
    size_t n;
};

/* One more of 2^order pages; false: refused. All that can be had. */
bool hoard_one(struct hoard *h, gfp_t gfp, unsigned order);
void hoard_all(struct hoard *h, gfp_t gfp, unsigned order);
/* Frees the `n` taken last. */
void hoard_free(struct hoard *h, unsigned order, size_t n);

/* Frames of zone HIGHMEM that are in use. */
size_t highmem_used(void);

static inline bool is_filled(const unsigned char *p, size_t bytes, unsigned char with)
{
    return bytes == 0 || (p[0] == with && memcmp(p, p + 1, bytes - 1) == 0);
}

/* The signal that ends a child which writes there; 0: it came through. */
int signal_of_touching(volatile char *at);

/* Fails the test unless pages and vmalloc are whole. */
void assert_whole(void);

/*
 * The system behind the allocator, refusing as these say. Installed by refuse_start(), which must
 * come before the pool's start or when no thread is in it.
 */
struct refusal {
    bool reserve, show, commit, map, purge, populate, memfd, map_memfd, hide, bind;
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
