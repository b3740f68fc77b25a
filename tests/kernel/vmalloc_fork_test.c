/*
 * Forks in the middle of vmalloc(), in a process of one thread: what was interrupted goes on in the child, whose
 * mappings and areas fit each other.
 */
#include "page_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pool.h"
#include "vmalloc/space.h"

static bool forked, is_child;

static void expect_or_end(bool right, int otherwise)
{
    if (!right)
        _exit(otherwise);
}

/* Forks once; the child goes on like the parent, which waits for it. */
static void fork_here(void)
{
    int status = 1;
    pid_t child;

    if (forked)
        return;
    forked = true;
    child = fork();
    is_child = child == 0;
    if (is_child)
        return;
    expect_or_end(waitpid(child, &status, 0) == child, 90);
    expect_or_end(!WIFSIGNALED(status), 91);
    expect_or_end(status == 0, WEXITSTATUS(status));
}

/* Frames are mapped only where there is an area, which somebody has. */
static bool is_explained(uintptr_t start, uintptr_t end)
{
    const struct vmap_area *a = area_floor(&vmalloc_space.busy, start);

    return a && end <= a->end && a->mappings > 0 && a->state != AREA_BUILDING;
}

static size_t stray_mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[500], access[8];
    unsigned long start, end;
    size_t strays = 0;

    expect_or_end(f != NULL, 92);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 && strcmp(access, "rw-s") == 0 &&
            is_vmalloc_addr((void *)start))
            strays += !is_explained(start, end);
    fclose(f);
    return strays;
}

static void expect_whole(void)
{
    char why[200];

    vm_unmap_aliases();
    expect_or_end(forked, 93);
    expect_or_end(stray_mappings() == 0, 94);
    expect_or_end(kmem_pages_check(why, sizeof why) && kmem_vmalloc_check(why, sizeof why), 95);
    if (is_child)
        _exit(0);
}

/* ---- Before anything is mapped ---- */

static unsigned long count_one(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return 1;
}

static unsigned long scan_and_fork(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    fork_here();
    return SHRINK_STOP;
}

static struct shrinker forker = {.count_objects = count_one, .scan_objects = scan_and_fork};

/* An area that has some of its frames, and gets no more. */
static void fork_while_frames_are_found(void)
{
    expect_or_end(vmalloc(PAGE_SIZE) != NULL, 96);
    expect_or_end(register_shrinker(&forker) == 0, 97);
    while (vmalloc(3 * MIB))
        ;
    expect_whole();
}

static void test_frames_are_found(void **state)
{
    (void)state;
    expect_well(fork_while_frames_are_found);
}

/* ---- As the system returns ---- */

static struct kmem_os usual;
static size_t maps_left;

/* Vmalloc's own range: the child's copies are mapped elsewhere. */
static bool map_and_fork(void *at, size_t bytes, int prot, int fd, size_t offset, void *original)
{
    bool done = maps_left > 0 && usual.map_memfd(at, bytes, prot, fd, offset, original);

    if (!is_vmalloc_addr(at) || forked)
        return done;
    maps_left--;
    fork_here();
    return done;
}

static void fork_as_it_maps(void)
{
    char *p = vmalloc(PAGE_SIZE), *q;

    *p = 7;
    usual = kmem_os;
    maps_left = SIZE_MAX;
    kmem_os.map_memfd = map_and_fork;
    q = vmalloc(2 * PAGE_SIZE);
    kmem_os = usual;
    expect_or_end(q != NULL, 98);
    *q = 8;
    expect_or_end(*p == 7, 99);
    expect_whole();
}

static void test_as_it_maps(void **state)
{
    (void)state;
    expect_well(fork_as_it_maps);
}

static bool map_one(void *at, size_t bytes, int prot, int fd, size_t offset, void *original)
{
    if (is_vmalloc_addr(at) && !forked && maps_left-- == 0)
        return false;
    return usual.map_memfd(at, bytes, prot, fd, offset, original);
}

static bool hide_and_fork(void *at, size_t bytes)
{
    bool done = usual.hide(at, bytes);

    fork_here();
    return done;
}

/* An area of which one part could be mapped, and the next could not. */
static void fork_as_it_unmaps(void)
{
    struct page *p[4];

    expect_or_end(vmalloc(PAGE_SIZE) != NULL, 96);
    for (int i = 0; i < 4; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    __free_pages(p[0], 0);
    __free_pages(p[2], 0);
    usual = kmem_os;
    maps_left = 1;
    kmem_os.map_memfd = map_one;
    kmem_os.hide = hide_and_fork;
    expect_or_end(vmalloc(2 * PAGE_SIZE) == NULL, 97);
    kmem_os = usual;
    expect_whole();
}

static void test_as_it_unmaps(void **state)
{
    (void)state;
    expect_well(fork_as_it_unmaps);
}

static void *map_meta_and_fork(size_t bytes)
{
    void *p = usual.map(bytes);

    fork_here();
    return p;
}

/* More descriptions of areas are needed than there are. */
static void fork_as_areas_are_described(void)
{
    expect_or_end(vmalloc(PAGE_SIZE) != NULL, 96);
    usual = kmem_os;
    kmem_os.map = map_meta_and_fork;
    while (!forked)
        expect_or_end(vmalloc(PAGE_SIZE) != NULL, 97);
    kmem_os = usual;
    expect_whole();
}

static void test_as_areas_are_described(void **state)
{
    (void)state;
    expect_well(fork_as_areas_are_described);
}

/* ---- In the middle of another fork ---- */

enum { BIG = 24 * MIB };

static bool interrupt_next;
static volatile sig_atomic_t interruptions;

static void fork_inside(int signal)
{
    int status = 1;
    pid_t child = fork();

    (void)signal;
    if (child == 0)
        _exit(0);
    expect_or_end(waitpid(child, &status, 0) == child && status == 0, 96);
    interruptions++;
}

/* A handler of somebody else, which was registered first: it runs when the allocator's has run. */
static void interrupt_fork(void)
{
    if (!interrupt_next)
        return;
    interrupt_next = false;
    raise(SIGUSR1);
}

static __attribute__((constructor)) void register_first(void)
{
    pthread_atfork(interrupt_fork, NULL, NULL);
}

static bool usr1_is_blocked(void)
{
    sigset_t now;

    return pthread_sigmask(SIG_BLOCK, NULL, &now) != 0 || sigismember(&now, SIGUSR1);
}

/* The parent waits all the same until its memory is copied. */
static void fork_in_a_fork(void)
{
    char *p = vmalloc(BIG);
    int status = 1;
    pid_t child;

    signal(SIGUSR1, fork_inside);
    memset(p, 1, BIG);
    interrupt_next = true;
    child = fork();
    if (child == 0)
        _exit(usr1_is_blocked() ? 97 : !is_filled((unsigned char *)p, BIG, 1));
    memset(p, 2, BIG);
    expect_or_end(waitpid(child, &status, 0) == child && status == 0, 98);
    expect_or_end(interruptions == 1 && !usr1_is_blocked(), 99);
    forked = true;
    vfree(p);
    expect_whole();
}

static void test_fork_in_a_fork(void **state)
{
    (void)state;
    expect_well(fork_in_a_fork);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_frames_are_found), cmocka_unit_test(test_as_it_maps),
    cmocka_unit_test(test_as_it_unmaps),     cmocka_unit_test(test_as_areas_are_described),
    cmocka_unit_test(test_fork_in_a_fork),
};

DEFINE_GROUP(one_node, tests)
DEFINE_GROUP(two_nodes, tests)

int main(void)
{
    return in_vmalloc_pools(one_node, two_nodes) != 0;
}
