/*
 * Forks in the middle of vmalloc(), in a process of one thread: what was interrupted goes on in the child, whose
 * mappings and areas fit each other.
 */
#include "page_support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "page/pool.h"
#include "vmalloc/space.h"

static bool forked, is_child;

static void expect(bool right, int otherwise)
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
    expect(waitpid(child, &status, 0) == child, 90);
    expect(!WIFSIGNALED(status), 91);
    expect(status == 0, WEXITSTATUS(status));
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

    expect(f != NULL, 92);
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
    expect(forked, 93);
    expect(stray_mappings() == 0, 94);
    expect(kmem_pages_check(why, sizeof why) && kmem_vmalloc_check(why, sizeof why), 95);
    if (is_child)
        _exit(0);
}

static void expect_well(void (*body)(void))
{
    struct ending e = ending_of(body);

    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
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
    expect(vmalloc(PAGE_SIZE) != NULL, 96);
    expect(register_shrinker(&forker) == 0, 97);
    while (vmalloc(3 * MIB))
        ;
    expect_whole();
}

static void test_frames_are_found(void **state)
{
    (void)state;
    expect_well(fork_while_frames_are_found);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_frames_are_found),
};

DEFINE_GROUP(one_node, tests)
DEFINE_GROUP(two_nodes, tests)

int main(void)
{
    return in_vmalloc_pools(one_node, two_nodes) != 0;
}
