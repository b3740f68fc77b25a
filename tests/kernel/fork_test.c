/*
 * Fork beside another thread: every lock is held meanwhile, lest the child find half a change; the child has all
 * of them free, also one whose holder it does not have.
 */
#include "support.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "page/pool.h"
#include "slub/slub.h"
#include "vmalloc/meta.h"
#include "vmalloc/space.h"

/* ---- another thread ---- */

static sem_t go_on, inside;
static pthread_t other;

static void *wait_to_go_on(void *unused)
{
    sem_wait(&go_on);
    return unused;
}

static void begin(void)
{
    alarm(60);
    sem_init(&go_on, 0, 0);
    sem_init(&inside, 0, 0);
    slub_start();
}

static void start_thread(void *(*body)(void *), void *argument)
{
    expect(pthread_create(&other, NULL, body, argument) == 0);
}

static _Noreturn void end_with_thread(void)
{
    sem_post(&go_on);
    expect(pthread_join(other, NULL) == 0);
    expect(kmem_check() == 0);
    _exit(0);
}

/* ---- the locks ---- */

typedef void check_lock(struct lock *l);

static void is_held(struct lock *l)
{
    expect(!lock_try(l));
}

static void is_free(struct lock *l)
{
    expect(lock_try(l));
    lock_drop(l);
}

static void check_nodes(check_lock *check)
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count(); n++) {
            check(&s->node[n]->list_lock);
            for (unsigned i = 0; i < nr_barns; i++)
                check(&s->node[n]->barn[i].lock);
        }
}

static void check_zones(check_lock *check)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        check(&z->lock);
        for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
            check(&z->pcp[cpu].lock);
    }
}

static void check_locks(check_lock *check)
{
    check(&slab_mutex);
    check_nodes(check);
    check(&vmalloc_space.purge_lock);
    check(&vmalloc_space.lock);
    check(&meta_lock);
    check_zones(check);
}

static int status_of_child(void (*body)(void))
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        alarm(20);
        body();
        _exit(0);
    }
    expect(waitpid(child, &status, 0) == child);
    return status;
}

static void all_are_free(void)
{
    check_locks(is_free);
}

static void all_are_held(void)
{
    begin();
    start_thread(wait_to_go_on, NULL);
    slub_before_fork();
    check_locks(is_held);
    slub_after_fork_parent();
    check_locks(is_free);
    expect(status_of_child(all_are_free) == 0);
    end_with_thread();
}

/* That of the table of mappings is nobody else's to look at: who frees one waits. */
static atomic_bool freed;

static void *free_mapping(void *mapping)
{
    sem_wait(&go_on);
    slub_free(mapping);
    freed = true;
    return NULL;
}

static void mappings_wait(void)
{
    void *mapping;

    begin();
    mapping = slub_malloc(5 * MIB);
    expect(mapping && !in_page_pool(mapping));
    start_thread(free_mapping, mapping);
    slub_before_fork();
    sem_post(&go_on);
    usleep(50000);
    expect(!freed);
    slub_after_fork_parent();
    end_with_thread();
}

/* ---- what the child has ---- */

static void expect_forked(void)
{
    expect(slub_forked);
}

static void expect_not_forked(void)
{
    expect(!slub_forked);
}

/* What a thread had in hand is lost to the child, unless there was none. */
static void forked_with_thread(void)
{
    begin();
    start_thread(wait_to_go_on, NULL);
    expect(status_of_child(expect_forked) == 0);
    expect(!slub_forked);
    end_with_thread();
}

static void forked_alone(void)
{
    begin();
    slub_free(slub_malloc(100));
    expect(status_of_child(expect_not_forked) == 0);
    _exit(0);
}

/* ---- a shrinker that is at work ---- */

static size_t asked;

static unsigned long count_some(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return 1000;
}

static unsigned long stay_inside_once(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    if (asked++ == 0) {
        sem_post(&inside);
        sem_wait(&go_on);
    }
    return SHRINK_STOP;
}

static struct shrinker shrinker = {.count_objects = count_some, .scan_objects = stay_inside_once};

static void exhaust(gfp_t gfp)
{
    while (__get_free_pages(gfp | __GFP_NOWARN, 0))
        ;
}

static void *exhaust_all(void *unused)
{
    exhaust(GFP_KERNEL | __GFP_NO_RECLAIM);
    exhaust(GFP_KERNEL | __GFP_NORETRY);
    return unused;
}

static void ask_shrinkers(void)
{
    size_t before = pool.reclaims;

    exhaust(GFP_KERNEL);
    expect(pool.reclaims > before);
    expect(asked > 1);
}

static void shrinker_at_work(void)
{
    begin();
    expect(register_shrinker(&shrinker) == 0);
    start_thread(exhaust_all, NULL);
    sem_wait(&inside);
    expect(status_of_child(ask_shrinkers) == 0);
    end_with_thread();
}

/* ---- the tests ---- */

TEST(all_are_held)
TEST(mappings_wait)
TEST(forked_with_thread)
TEST(forked_alone)
TEST(shrinker_at_work)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_held),       cmocka_unit_test(test_mappings_wait),
        cmocka_unit_test(test_forked_with_thread), cmocka_unit_test(test_forked_alone),
        cmocka_unit_test(test_shrinker_at_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
