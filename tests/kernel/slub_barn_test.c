/*
 * To whom a barn leaves its full sheaves, and whose objects may lie in them.
 *
 * It takes two CPUs, each with a barn and, if there are several nodes, with a node of its own. Where this
 * process may use no such two, or where CPUs have no blocks (percpu=thread), two are pretended. For that
 * the program runs anew without rseq: then a thread takes itself to be where it was told to be last.
 */
#include "support.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"
#include "os.h"
#include "slub/sheaf.h"

enum { OBJECTS = 20000 };

static void *objects[OBJECTS], *others[OBJECTS];

/* ---- two CPUs -------------------------------------------------------------------------------- */

static int cpu[2];
static bool pretended;

/*
 * Barns are dealt out by the lowest bits of a CPU's number, nodes in runs of CPUs: the first one, and of those
 * that differ from it in the lowest bit the one furthest away.
 */
static bool find_cpus(void)
{
    cpu_set_t set;

    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    cpu[0] = cpu[1] = -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            cpu[0] = cpu[0] < 0 ? i : cpu[0];
            cpu[1] = (i ^ cpu[0]) & 1 ? i : cpu[1];
        }
    return cpu[1] >= 0;
}

static void move_to(int which)
{
    cpu_set_t set;

    if (pretended) {
        os_cpu_seen = (struct cpu_seen){.cpu = (unsigned)which, .left = UINT_MAX};
        return;
    }
    CPU_ZERO(&set);
    CPU_SET(which, &set);
    assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
}

static ssize_t (*real_read_text)(const char *path, char *text, size_t bytes);

static ssize_t two_cpus(const char *path, char *text, size_t bytes)
{
    static const char range[] = "0-1", nodes[] = "/sys/devices/system/node/";

    if (strncmp(path, nodes, sizeof nodes - 1) == 0)
        return -1; /* the machine's are not those of these CPUs */
    if (strcmp(path, "/sys/devices/system/cpu/possible") != 0)
        return real_read_text(path, text, bytes);
    memcpy(text, range, sizeof range);
    return sizeof range - 1;
}

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "cannot pretend CPUs: %s\n", why);
    exit(EXIT_FAILURE);
}

/* The mark: a C library that does not know the tunable would have the program run anew for ever. */
static _Noreturn void run_without_rseq(char **argv)
{
    static const char mark[] = "SLUB_BARN_TEST_WITHOUT_RSEQ";
    const char *given = getenv("GLIBC_TUNABLES");
    char tunables[1000];
    int length = snprintf(tunables, sizeof tunables, "%s%sglibc.pthread.rseq=0", given ? given : "",
                          given && *given ? ":" : "");

    if (getenv(mark))
        give_up(
            "the C library ignores the tunable 'glibc.pthread.rseq=0'; turn rseq off otherwise");
    if (length >= (int)sizeof tunables)
        give_up("GLIBC_TUNABLES is too long to add to; make it shorter");
    setenv(mark, "1", 1);
    setenv("GLIBC_TUNABLES", tunables, 1);
    execv("/proc/self/exe", argv);
    give_up("this program cannot run itself from '/proc/self/exe'; mount /proc");
}

/* Before the start. */
static void pretend_cpus(char **argv)
{
    if (machine_has_rseq())
        run_without_rseq(argv);
    pretended = true;
    cpu[0] = 0;
    cpu[1] = 1;
    real_read_text = kmem_os.read_text;
    kmem_os.read_text = two_cpus;
    nr_barns = 2; /* the start makes it no less */
}

/* After the start, on the first CPU: is it node 0's, and the second one node 1's? */
static bool has_node_each(void)
{
    int first = percpu_node(), second;

    move_to(cpu[1]);
    second = percpu_node();
    move_to(cpu[0]);
    return first == 0 && second == 1;
}

/* What a thread of its own does on the second CPU. */
struct elsewhere {
    void (*body)(struct kmem_cache *s);
    struct kmem_cache *s;
};

static void *be_elsewhere(void *argument)
{
    const struct elsewhere *e = argument;

    move_to(cpu[1]);
    e->body(e->s);
    return NULL;
}

static void elsewhere(void (*body)(struct kmem_cache *s), struct kmem_cache *s)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, be_elsewhere, &(struct elsewhere){body, s}), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static struct node_barn *own_barn(struct kmem_cache *s)
{
    return &s->node[percpu_node()]->barn[percpu_number() & (nr_barns - 1)];
}

/* What the other CPU gets, and which barn is its own. */
static struct {
    struct node_barn *own;
    void *first;
} taken;

static void take_one(struct kmem_cache *s)
{
    taken.first = kmem_cache_alloc(s, GFP_KERNEL);
    taken.own = own_barn(s);
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
    if (node_count() > 1)
        skip(); /* the other CPU's barns are another node's */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("left", cases[i].size, 0, SLAB_NO_MERGE, NULL);
        struct node_barn *barn;
        unsigned wanted, full;
        int freed;

        for (int k = 0; k < OBJECTS; k++)
            assert_non_null(objects[k] = kmem_cache_alloc(s, GFP_KERNEL));
        barn = own_barn(s);
        wanted = barn->wanted;
        assert_int_equal(wanted != 0, cases[i].size <= 64);
        full = wanted + cases[i].beyond;
        freed = free_until(s, 0, full);
        elsewhere(take_one, s);
        assert_non_null(taken.first);
        assert_ptr_not_equal(taken.own, barn);
        assert_int_equal(barn->nr_full, cases[i].served ? full - 1 : full);
        assert_int_equal(barn->wanted, cases[i].served ? wanted : wanted - 1);
        kmem_cache_free(s, taken.first);
        for (; freed < OBJECTS; freed++)
            kmem_cache_free(s, objects[freed]);
        assert_int_equal(kmem_check(), 0);
        kmem_cache_destroy(s);
    }
}

static void use(struct kmem_cache *s, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        assert_non_null(objects[k] = kmem_cache_alloc(s, GFP_KERNEL));
    for (unsigned k = 0; k < count; k++)
        kmem_cache_free(s, objects[k]);
}

/* However often its own CPUs come to it, of a barn that is full half is for others. */
static void test_not_all_is_left(void **state)
{
    struct kmem_cache *s = kmem_cache_create("half", 256, 0, SLAB_NO_MERGE, NULL);
    unsigned wanted;

    (void)state;
    for (int round = 0; round < 50; round++)
        use(s, OBJECTS);
    wanted = own_barn(s)->wanted;
    assert_true(wanted > 0);
    assert_int_equal(wanted, s->barn_max / 2);
    kmem_cache_destroy(s);
}

/*
 * What is left is as much as its own CPUs drew at a time. Not as often as they came: threads that go to and fro
 * about a barn would be left all of it, and the others make new slabs.
 */
static void test_left_is_what_is_drawn(void **state)
{
    struct kmem_cache *s = kmem_cache_create("drawn", 256, 0, SLAB_NO_MERGE, NULL);
    struct node_barn *barn = own_barn(s);
    unsigned full;

    (void)state;
    if (node_count() > 1)
        skip(); /* the other CPU's barns are another node's */
    for (int round = 0; round < 50; round++)
        use(s, OBJECTS);
    assert_int_equal(s->sheaf_class, s->sheaf_class_max);
    barn->wanted = barn->drawn = 0;
    for (int round = 0; round < 50; round++)
        use(s, 3 * sheaf_class_capacity(s->sheaf_class));
    assert_in_range(barn->wanted, 1, 3);
    full = barn->nr_full;
    assert_true(full > barn->wanted);
    elsewhere(take_one, s);
    assert_int_equal(barn->nr_full, full - 1);
    kmem_cache_free(s, taken.first);
    for (int k = 0; k < OBJECTS; k++) /* what is kept for good was not drawn lately for ever */
        assert_non_null(objects[k] = kmem_cache_alloc(s, GFP_KERNEL));
    assert_true(barn->drawn > 0);
    kmem_cache_shrink(s);
    assert_int_equal(barn->drawn, 0);
    for (int k = 0; k < OBJECTS; k++)
        kmem_cache_free(s, objects[k]);
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(s);
}

enum { ROBBED = 9000 };

static void rob_and_free_own(struct kmem_cache *s)
{
    assert_int_equal(percpu_node(), 1);
    for (int i = 0; i < ROBBED; i++)
        assert_non_null(others[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (int i = ROBBED; i < OBJECTS; i++)
        assert_non_null(others[i] = kmem_cache_alloc_node(s, GFP_KERNEL, 1));
    for (int i = ROBBED; i < OBJECTS; i++)
        kmem_cache_free(s, others[i]);
}

/*
 * Whatever node's barn an object lies in, its slab is empty once all are free: a CPU that had to take objects
 * of another node has them in a sheaf below its own node's, and puts that into its own node's barn.
 */
static void test_shrink_finds_objects_of_other_nodes(void **state)
{
    struct kmem_cache *s;

    (void)state;
    if (node_count() < 2)
        skip();
    s = kmem_cache_create("mixed", 48, 0, SLAB_NO_MERGE, NULL);
    for (int i = 0; i < OBJECTS; i++)
        assert_non_null(objects[i] = kmem_cache_alloc(s, GFP_KERNEL));
    for (int i = 0; i < OBJECTS; i += 2)
        kmem_cache_free(s, objects[i]);
    assert_int_equal(kmem_cache_shrink(s), 1); /* node 0 has many slabs that are half free */
    elsewhere(rob_and_free_own, s);
    for (int i = 0; i < ROBBED; i++)
        kmem_cache_free(s, others[i]);
    for (int i = 1; i < OBJECTS; i += 2)
        kmem_cache_free(s, objects[i]);
    assert_int_equal(kmem_cache_shrink(s), 0);
    kmem_cache_destroy(s);
    assert_int_equal(kmem_check(), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_from_the_start),
        cmocka_unit_test(test_shrink_finds_objects_of_other_nodes),
        cmocka_unit_test(test_not_all_is_left),
        cmocka_unit_test(test_left_is_what_is_drawn),
    };

    (void)argc;
    config_read();
    if (kmem_config.percpu == PERCPU_THREAD || !machine_has_rseq() || !find_cpus())
        pretend_cpus(argv);
    move_to(cpu[0]);
    slub_start();
    if (!pretended && node_count() > 1 && !has_node_each())
        run_without_rseq(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
