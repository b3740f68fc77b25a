/*
 * GFP_ATOMIC and GFP_NOWAIT neither wait nor enter the operating system: whatever they find, on a CPU's very
 * first call as on any other, and with every lock held by somebody else. The system itself is asked: each
 * test runs in a child that is ended at once by any system call but its exit.
 */
#include "support.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "kmem.h"
#include "page/page.h"
#include "page/zone.h"
#include "slub/frozen.h"
#include "slub/node.h"
#include "slub/slab.h"

static const gfp_t contexts[] = {GFP_NOWAIT, GFP_ATOMIC};

enum {
    CONTEXTS = sizeof contexts / sizeof contexts[0],
    MANY = 4000,
    BYTES = 96,
    SHEAVES_FULL = 20000, /* objects: more than a CPU keeps in its sheaves */
    MORE_THAN_THERE_IS = 60000,
};

static struct kmem_cache *cache, *made;
static void *kept[MORE_THAN_THERE_IS];

static void construct(void *object)
{
    memset(object, 1, BYTES);
}

/* Some present memory, but nothing that an object cache has had in hand. */
static void prepare(void)
{
    struct page *p;

    alarm(60);
    cache = kmem_cache_create("atomic", BYTES, 0, SLAB_NO_MERGE, NULL);
    made = kmem_cache_create("made", BYTES, 0, SLAB_NO_MERGE, construct);
    p = alloc_pages(GFP_KERNEL, 8);
    memset(page_address(p), 1, PAGE_SIZE << 8);
    __free_pages(p, 8);
}

static void forbid_the_system(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        _exit(SKIPPED); /* not to be had here */
}

/* Objects straight from the slabs, for which no CPU needs a list of its own; they are left in `kept`. */
static void take_from_slabs(struct kmem_cache *s, unsigned n)
{
    if (slabs_take(s, GFP_KERNEL, percpu_node(), n, kept) != n)
        _exit(3);
}

static _Noreturn void end(bool well)
{
    syscall(SYS_exit, !well);
    __builtin_unreachable();
}

/* Skips where the system cannot be forbidden. */
static void expect_no_system_call(void (*body)(void))
{
    struct ending e = ending_of(body);

    if (e.status == SKIPPED << 8)
        skip();
    if (signal_of(&e) == SIGKILL)
        fail_msg("entered the operating system");
    if (e.status != 0)
        fail_msg("status %#x, '%s'", e.status, e.said);
}

/* ---- first calls ---- */

static bool takes_and_gives(struct kmem_cache *s, gfp_t gfp)
{
    void *p[40], *one;
    int n = kmem_cache_alloc_bulk(s, gfp, 40, p);

    if (n != 40)
        return false;
    kmem_cache_free_bulk(s, 40, p);
    for (int i = 0; i < 200; i++)
        if (!(kept[i] = kmem_cache_alloc(s, gfp)))
            return false;
    for (int i = 0; i < 200; i++)
        kmem_cache_free(s, kept[i]);
    one = kmem_cache_alloc_node(s, gfp, 0);
    kmem_cache_free(s, one);
    return one;
}

/* The first call of this CPU, and of kmalloc. */
static void first_calls(void)
{
    bool well = true;

    prepare();
    forbid_the_system();
    for (int c = 0; c < CONTEXTS; c++) {
        char *p = kmalloc(100, contexts[c]);

        well &= takes_and_gives(cache, contexts[c]) && takes_and_gives(made, contexts[c]);
        well &= p && (p = krealloc(p, 6000, contexts[c])) != NULL;
        kfree(p);
    }
    end(well);
}

static void first_pages(void)
{
    bool well = true;

    prepare();
    forbid_the_system();
    for (int c = 0; c < CONTEXTS; c++)
        for (unsigned order = 0; order < 7; order++) {
            struct page *p = alloc_pages(contexts[c] | __GFP_ZERO, order), *run;

            well &= p != NULL;
            __free_pages(p, order);
            run = alloc_page_run(contexts[c], 11, 0);
            well &= run != NULL;
            free_page_run(run);
        }
    end(well && !alloc_pages(GFP_NOWAIT, MAX_PAGE_ORDER));
}

/* What the kernel's frees need, they may not take from the system either. */
static void first_frees(void)
{
    prepare();
    take_from_slabs(cache, 40);
    forbid_the_system();
    for (int i = 0; i < 40; i++)
        kmem_cache_free(cache, kept[i]);
    end(true);
}

static void test_first_calls(void **state)
{
    (void)state;
    expect_no_system_call(first_calls);
    expect_no_system_call(first_pages);
    expect_no_system_call(first_frees);
}

/* ---- until there is nothing left ---- */

/* Sheaves and CPU lists are in use; now GFP_ATOMIC takes all there is, and gives it back. */
static void use_up(void)
{
    int n = 0;

    prepare();
    for (int i = 0; i < MANY; i++)
        kept[i] = kmem_cache_alloc(cache, GFP_KERNEL);
    for (int i = 0; i < MANY; i++)
        kmem_cache_free(cache, kept[i]);
    forbid_the_system();
    while (n < MANY && (kept[n] = kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN)) != NULL)
        n++;
    for (int i = 0; i < n; i++)
        kmem_cache_free(cache, kept[i]);
    end(n == MANY && takes_and_gives(made, GFP_NOWAIT));
}

/* Free pages that are present: those of so many objects. */
static void touch_and_free(struct kmem_cache *s, int objects)
{
    for (int i = 0; i < objects; i++) {
        kept[i] = kmem_cache_alloc(s, GFP_KERNEL);
        memset(kept[i], 1, 8);
    }
    for (int i = 0; i < objects; i++)
        kmem_cache_free(s, kept[i]);
    kmem_cache_shrink(s);
}

/* A call that is refused gives back all that it had: whole blocks, of which nothing is to be kept. */
static void refuse_after_many(void)
{
    struct kmem_cache *s;

    prepare();
    s = kmem_cache_create("of a page", PAGE_SIZE, 0, SLAB_NO_MERGE, NULL);
    kmem_pages_keep(SIZE_MAX / 2);
    touch_and_free(s, 8192);
    kmem_pages_keep(0);
    forbid_the_system();
    end(kmem_cache_alloc_bulk(s, GFP_ATOMIC, MORE_THAN_THERE_IS, kept) == 0);
}

/* The freed half of a block of the largest order joins the other one, and nothing is to be kept. */
static void move_by_realloc(void)
{
    char *block, *half[4];
    int i = 0;

    prepare();
    kmem_pages_keep(SIZE_MAX / 2);
    block = memset(kmalloc(4 * MIB, GFP_KERNEL), 1, 4 * MIB);
    for (int k = 0; k < 4; k++)
        half[k] = memset(kmalloc(2 * MIB, GFP_KERNEL), 1, 2 * MIB);
    while (i < 3 && ((uintptr_t)half[i] ^ (uintptr_t)half[i + 1]) != 2 * MIB)
        i++;
    if (i == 3)
        _exit(4);
    kfree(block);
    kfree(half[i + 1]);
    kmem_pages_keep(0);
    forbid_the_system();
    end(krealloc(half[i], 3 * MIB, GFP_ATOMIC) != NULL);
}

static void test_use_up(void **state)
{
    (void)state;
    expect_no_system_call(use_up);
}

static void test_what_is_given_back(void **state)
{
    (void)state;
    expect_no_system_call(refuse_after_many);
    expect_no_system_call(move_by_realloc);
}

/* ---- with locks held ---- */

static void hold_barns(struct kmem_cache *s)
{
    for (unsigned n = 0; n < node_count(); n++)
        for (unsigned i = 0; i < nr_barns; i++)
            lock_take(&s->node[n]->barn[i].lock);
}

static unsigned full_sheaves(const struct kmem_cache *s)
{
    unsigned full = 0;

    for (unsigned n = 0; n < node_count(); n++)
        for (unsigned i = 0; i < nr_barns; i++)
            full += s->node[n]->barn[i].nr_full;
    return full;
}

static void hold_all_locks(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next) {
        hold_barns(s);
        for (unsigned n = 0; n < node_count(); n++)
            lock_take(&s->node[n]->list_lock);
    }
}

static void drop_all_locks(void)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count(); n++) {
            lock_drop(&s->node[n]->list_lock);
            for (unsigned i = 0; i < nr_barns; i++)
                lock_drop(&s->node[n]->barn[i].lock);
        }
}

/* What a lock keeps from us we do without, and what we had in hand is not lost. */
static void beside_held_locks(void)
{
    bool well = true;

    prepare();
    take_from_slabs(cache, 20); /* there are slabs with room */
    forbid_the_system();
    hold_all_locks();
    for (int c = 0; c < CONTEXTS; c++) {
        well &= !kmem_cache_alloc(cache, contexts[c]);
        well &= !kmem_cache_alloc(made, contexts[c]);
        well &= !kmem_cache_alloc_node(made, contexts[c], 0);
        well &= !kmem_cache_alloc_node(cache, contexts[c], percpu_node());
        well &= !kmem_cache_alloc(cache, contexts[c] | __GFP_THISNODE);
        well &= kmem_cache_alloc_bulk(cache, contexts[c], 40, kept) == 0;
    }
    drop_all_locks();
    well &= takes_and_gives(cache, GFP_NOWAIT);
    end(well);
}

/* The CPU has sheaves, and the barns have full ones, which nobody gets now: only the slabs are left. */
static void beside_held_barns(void)
{
    int n = 0;

    prepare();
    if (cache->path != PATH_SHEAF)
        _exit(SKIPPED);
    stay_on_this_cpu();
    for (int i = 0; i < SHEAVES_FULL; i++)
        kept[i] = kmem_cache_alloc(cache, GFP_KERNEL);
    for (int i = 0; i < SHEAVES_FULL; i++)
        kmem_cache_free(cache, kept[i]);
    hold_barns(cache);
    forbid_the_system();
    while (n < SHEAVES_FULL && (kept[n] = kmem_cache_alloc(cache, GFP_ATOMIC)) != NULL)
        n++;
    end(n > 0 && full_sheaves(cache) > 0);
}

static void test_held_locks(void **state)
{
    (void)state;
    expect_no_system_call(beside_held_locks);
}

static void test_held_barns(void **state)
{
    (void)state;
    expect_no_system_call(beside_held_barns);
}

/* How many objects there are until the first refusal; they are left in `kept`. */
static int take_all(gfp_t gfp)
{
    int n = 0;

    while (n < MANY && (kept[n] = kmem_cache_alloc(cache, gfp)) != NULL)
        n++;
    return n;
}

/*
 * Where CPUs have slabs of their own, what others freed to these is behind a lock, too. Without it the CPU keeps
 * its slab, and so has that object afterwards.
 */
static void beside_the_lock_of_a_slab(void)
{
    bool well = true;
    void *object;
    int n;

    prepare();
    if (cache->path != PATH_CPU)
        _exit(SKIPPED);
    stay_on_this_cpu();
    take_from_slabs(cache, 20); /* there are slabs with room, and the CPU has one */
    object = kmem_cache_alloc(cache, GFP_KERNEL);
    forbid_the_system();
    hold_all_locks();
    n = take_all(GFP_ATOMIC);
    drop_all_locks();
    well &= n < MANY && !free_to_slab(cache, slab_of(object), object, false);
    hold_all_locks();
    well &= take_all(GFP_ATOMIC) == 0 && take_all(GFP_NOWAIT) == 0;
    drop_all_locks();
    well &= kmem_cache_alloc(cache, GFP_ATOMIC) == object;
    end(well);
}

static void test_lock_of_a_slab(void **state)
{
    (void)state;
    expect_no_system_call(beside_the_lock_of_a_slab);
}

static void take_zones(void (*take)(struct lock *))
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        take(&z->lock);
}

/*
 * What a CPU has of another node is in the way of who wants its own node's. It goes home, but the slab's pages do not,
 * however empty it is.
 */
static void beside_the_lock_of_a_zone(void)
{
    enum { OBJECTS = 800, STAY = 8 };
    int here, there;
    void *object;

    prepare();
    if (node_count() < 2)
        _exit(SKIPPED);
    stay_on_this_cpu();
    here = percpu_node();
    there = !here;
    cache = kmem_cache_create("strange", 4000, 0, SLAB_NO_MERGE, NULL);
    for (int i = 0; i < OBJECTS; i++)
        kept[i] = kmem_cache_alloc_node(cache, GFP_KERNEL, there);
    for (int i = 0; i < OBJECTS; i++)
        if (i % STAY)
            kmem_cache_free(cache, kept[i]);
    kmem_cache_shrink(cache);
    object = kmem_cache_alloc(cache, GFP_KERNEL);
    if (slab_nid(slab_of(object)) != there)
        _exit(5); /* the CPU was to have one of these slabs */
    kmem_cache_free(cache, object);
    for (int i = 0; i < OBJECTS; i += STAY)
        kmem_cache_free(cache, kept[i]);
    __atomic_store_n(&page_globals.listed_orders, 0,
                     __ATOMIC_RELAXED); /* or else a list may have room for them */
    take_zones(lock_take);
    (void)kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_THISNODE);
    (void)kmem_cache_alloc_node(cache, GFP_ATOMIC, here);
    take_zones(lock_drop);
    _exit(kmem_check() != 0);
}

static void test_lock_of_a_zone(void **state)
{
    (void)state;
    expect_well_or_skipped(beside_the_lock_of_a_zone);
}

/* ---- in the handler of a signal, which interrupted who holds a lock ---- */

enum { INTERRUPTIONS = 20000, INTERVAL_NS = 50000, SECONDS_MOST = 10 /* where timers are slow */ };

static volatile int interruptions;
static void *from_handlers[64];

static void allocate_in_handler(int signal)
{
    void **to = &from_handlers[interruptions++ % 64];

    (void)signal;
    if (!*to)
        *to = kmem_cache_alloc(cache, GFP_ATOMIC);
}

static void interrupt_often(void)
{
    struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, INTERVAL_NS}, {0, INTERVAL_NS}};
    timer_t timer;

    if (sigaction(SIGUSR1, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
        timer_settime(timer, 0, &often, NULL))
        _exit(4);
}

/* Nobody waits for what goes on only when he is done. */
static void in_handlers(void)
{
    time_t end = time(NULL) + SECONDS_MOST;

    prepare();
    if (cache->path != PATH_CPU || percpu_mode != PERCPU_RSEQ)
        _exit(SKIPPED);
    interrupt_often();
    while (interruptions < INTERRUPTIONS && time(NULL) < end) {
        for (int i = 0; i < MANY; i++)
            kept[i] = kmem_cache_alloc(cache, GFP_KERNEL);
        for (int i = 0; i < MANY; i++)
            kmem_cache_free(cache, kept[i]);
        for (int i = 0; i < 64; i++) {
            void *p = __atomic_exchange_n(&from_handlers[i], NULL, __ATOMIC_RELAXED);

            kmem_cache_free(cache, p);
        }
    }
    signal(SIGUSR1, SIG_IGN);
    _exit(kmem_check() != 0);
}

static void test_in_handlers(void **state)
{
    (void)state;
    expect_well_or_skipped(in_handlers);
}

/* ---- what is not atomic may, and so the test can tell ---- */

static void waits(void)
{
    prepare();
    forbid_the_system();
    for (int i = 0; i < MANY; i++)
        kept[i] = (void *)alloc_pages(GFP_KERNEL, 6);
    end(true);
}

static void expect_to_enter(void (*body)(void))
{
    struct ending e = ending_of(body);

    if (e.status == SKIPPED << 8)
        skip();
    assert_int_equal(signal_of(&e), SIGKILL);
}

static void test_others_may(void **state)
{
    (void)state;
    expect_to_enter(waits);
}

/* A lock that one cannot do without, and that stays held: its holder may need this CPU. */
static void spins_for_a_while(void)
{
    static struct lock held;

    prepare();
    alarm(10);
    forbid_the_system();
    lock_take(&held);
    in_atomic = true;
    lock_take_here(&held);
    end(true);
}

static void test_no_endless_spinning(void **state)
{
    (void)state;
    expect_to_enter(spins_for_a_while);
}

/* ---- a free never reclaims ---- */

static bool reclaims;

static unsigned long count_it(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    reclaims = true;
    return 0;
}

/* Whoever frees may hold what a shrinker needs. */
static void free_when_memory_is_short(void)
{
    static struct shrinker shrinker = {.count_objects = count_it, .scan_objects = count_it};
    static struct page *pages[1 << 15];
    size_t n = 0;

    prepare();
    for (int i = 0; i < MANY; i++)
        kept[i] = kmem_cache_alloc(cache, GFP_KERNEL);
    for (gfp_t gfp = GFP_ATOMIC;; gfp = 0)
        if (n == sizeof pages / sizeof pages[0] ||
            !(pages[n++] = alloc_pages(GFP_KERNEL | __GFP_NORETRY | gfp, 0)))
            break;
    register_shrinker(&shrinker);
    for (int i = 0; i < MANY; i++)
        kmem_cache_free(cache, kept[i]);
    _exit(reclaims);
}

static void test_free_never_reclaims(void **state)
{
    (void)state;
    expect_no_system_call(free_when_memory_is_short);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_calls),         cmocka_unit_test(test_use_up),
        cmocka_unit_test(test_what_is_given_back),  cmocka_unit_test(test_held_locks),
        cmocka_unit_test(test_held_barns),          cmocka_unit_test(test_lock_of_a_slab),
        cmocka_unit_test(test_lock_of_a_zone),      cmocka_unit_test(test_in_handlers),
        cmocka_unit_test(test_others_may),          cmocka_unit_test(test_no_endless_spinning),
        cmocka_unit_test(test_free_never_reclaims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
