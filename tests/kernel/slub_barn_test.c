/* To whom a barn leaves its full sheaves, and whose objects may lie in them. */
#include "support.h"

#include <pthread.h>
#include <sched.h>

#include "kmem.h"
#include "slub/slub.h"

enum { OBJECTS = 20000 };

static void *objects[OBJECTS], *others[OBJECTS];
static int cpu[2]; /* the first and the last that this process may use */

static void find_cpus(void)
{
    cpu_set_t set;

    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    cpu[0] = cpu[1] = -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            cpu[0] = cpu[0] < 0 ? i : cpu[0];
            cpu[1] = i;
        }
}

static void move_to(int which)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(which, &set);
    assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
}

static struct node_barn *own_barn(struct kmem_cache *s)
{
    return &s->node[percpu_node()]->barn[percpu_number() & (nr_barns - 1)];
}

/* What another thread on another CPU gets, and which barn is its own. */
struct taker {
    struct kmem_cache *s;
    struct node_barn *own;
    void *first;
};

static void *take_elsewhere(void *argument)
{
    struct taker *t = argument;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu[1], &set);
    sched_setaffinity(0, sizeof set, &set);
    t->first = kmem_cache_alloc(t->s, GFP_KERNEL);
    t->own = own_barn(t->s);
    return NULL;
}

static struct taker taken_elsewhere(struct kmem_cache *s)
{
    struct taker t = {.s = s};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, take_elsewhere, &t), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(t.first);
    return t;
}

/* Frees the objects from `from` on until so many full sheaves lie in this CPU's barn; where it stopped. */
static int free_until(struct kmem_cache *s, int from, unsigned full)
{
    for (; from < OBJECTS && own_barn(s)->nr_full < full; from++)
        kmem_cache_free(s, objects[from]);
    assert_int_equal(own_barn(s)->nr_full, full);
    return from;
}

/*
 * Before anybody took a sheaf out of a barn, it leaves some to its own CPUs, of objects up to a line: another
 * CPU goes to the slabs. One sheaf more, or larger objects, and it is served from there.
 */
static void test_left_from_the_start(void **state)
{
    static const struct {
        unsigned size, beyond; /* full sheaves beyond those that are left */
        bool served;
    } cases[] = {{64, 0, false}, {48, 0, false}, {64, 1, true}, {80, 1, true}};

    (void)state;
    if (cpu[0] == cpu[1] || node_count() > 1)
        skip();
    move_to(cpu[0]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("left", cases[i].size, 0, SLAB_NO_MERGE, NULL);
        struct node_barn *barn;
        struct taker t;
        unsigned wanted, full;
        int freed;

        for (int k = 0; k < OBJECTS; k++)
            assert_non_null(objects[k] = kmem_cache_alloc(s, GFP_KERNEL));
        barn = own_barn(s);
        wanted = barn->wanted;
        assert_int_equal(wanted != 0, cases[i].size <= 64);
        full = wanted + cases[i].beyond;
        freed = free_until(s, 0, full);
        t = taken_elsewhere(s);
        assert_ptr_not_equal(t.own, barn);
        assert_int_equal(barn->nr_full, cases[i].served ? full - 1 : full);
        assert_int_equal(barn->wanted, cases[i].served ? wanted : wanted - 1);
        kmem_cache_free(s, t.first);
        for (; freed < OBJECTS; freed++)
            kmem_cache_free(s, objects[freed]);
        assert_int_equal(kmem_check(), 0);
        kmem_cache_destroy(s);
    }
}

/*
 * Whatever node's barn an object lies in, its slab is empty once all are free: a CPU that had to take objects
 * of another node has them in a sheaf below its own node's, and puts that into its own node's barn.
 */
static void test_shrink_finds_objects_of_other_nodes(void **state)
{
    enum { ROBBED = 9000 };
    struct kmem_cache *s = kmem_cache_create("mixed", 48, 0, SLAB_NO_MERGE, NULL);

    (void)state;
    if (cpu[0] == cpu[1] || node_count() < 2) {
        kmem_cache_destroy(s);
        skip();
    }
    move_to(cpu[0]);
    for (int i = 0; i < OBJECTS; i++)
        assert_non_null(objects[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (int i = 0; i < OBJECTS; i += 2)
        kmem_cache_free(s, objects[i]);
    assert_int_equal(kmem_cache_shrink(s), 1); /* node 0 has many slabs that are half free */
    move_to(cpu[1]);
    for (int i = 0; i < ROBBED; i++)
        assert_non_null(others[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (int i = ROBBED; i < OBJECTS; i++)
        assert_non_null(others[i] = kmem_cache_alloc_node(s, GFP_KERNEL, 1));
    for (int i = ROBBED; i < OBJECTS; i++)
        kmem_cache_free(s, others[i]);
    move_to(cpu[0]);
    for (int i = 0; i < ROBBED; i++)
        kmem_cache_free(s, others[i]);
    for (int i = 1; i < OBJECTS; i += 2)
        kmem_cache_free(s, objects[i]);
    assert_int_equal(kmem_cache_shrink(s), 0);
    kmem_cache_destroy(s);
    assert_int_equal(kmem_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_from_the_start),
        cmocka_unit_test(test_shrink_finds_objects_of_other_nodes),
    };

    slub_start();
    find_cpus();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
