/* vmalloc and vmap where the system refuses, at its limits, and across fork(). */
#include "page_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pool.h"
#include "vmalloc/space.h"

/* Where the system refuses to unmap, the frames are the caller's all the same, and the addresses wait. */
static void test_vunmap_refused(void **state)
{
    struct page *p[3];
    char *v;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < 3; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    v = vmap(p, 3, VM_MAP, PAGE_KERNEL);
    refusal = (struct refusal){.hide = true, .of_16 = 16, .random = 1};
    vunmap(v);
    for (int i = 0; i < 3; i++)
        __free_pages(p[i], 0);
    assert_null(vmalloc_to_page(v));
    assert_whole();
    assert_int_equal(highmem_used(), 0);
    vm_unmap_aliases(); /* refused again */
    assert_whole();
    assert_int_equal(signal_of_touching(v), 0);
    vfree(vmalloc(3 * PAGE_SIZE)); /* elsewhere */
    refusal = (struct refusal){0};
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(signal_of_touching(v), SIGSEGV);
    assert_int_equal(highmem_used(), 0);
}

/* Nor does vmalloc() take those addresses, where the caller's frames still are. */
static void test_stuck_is_not_reused(void **state)
{
    struct page *p[3];
    char *v, *other, *w;

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < 3; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    other = vmap(p, 3, VM_MAP, PAGE_KERNEL);
    memset(other, 0x5a, 3 * PAGE_SIZE);
    v = vmap(p, 3, VM_MAP, PAGE_KERNEL);
    refusal = (struct refusal){.hide = true, .of_16 = 16, .random = 1};
    vunmap(v);
    w = vmalloc_node(3 * PAGE_SIZE, 0);
    assert_non_null(w);
    assert_ptr_not_equal(w, v);
    memset(w, 0xa5, 3 * PAGE_SIZE);
    assert_true(is_filled((unsigned char *)other, 3 * PAGE_SIZE, 0x5a));
    refusal = (struct refusal){0};
    vfree(w);
    vunmap(other);
    for (int i = 0; i < 3; i++)
        __free_pages(p[i], 0);
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(highmem_used(), 0);
}

/* ---- Areas that could not be built ------------------------------------------------------------ */

static struct kmem_os refusing;
static size_t maps_left;

static bool map_some(void *at, size_t bytes, int prot, int fd, size_t offset, void *original)
{
    return maps_left > 0 && maps_left-- &&
           refusing.map_memfd(at, bytes, prot, fd, offset, original);
}

/* Lets so many runs be mapped, and none be unmapped. */
static void allow_maps(size_t n)
{
    refusing = kmem_os;
    maps_left = n;
    kmem_os.map_memfd = map_some;
    refusal = (struct refusal){.hide = true, .of_16 = 16, .random = 1};
}

static void allow_all(void)
{
    kmem_os.map_memfd = refusing.map_memfd;
    refusal = (struct refusal){0};
}

enum { SCATTERED = 8 };

/* Every second frame comes free: the next ones that are taken do not adjoin. */
static void scatter(struct page **p)
{
    vm_unmap_aliases();
    for (int i = 0; i < SCATTERED; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    for (int i = 0; i < SCATTERED; i += 2)
        __free_pages(p[i], 0);
}

static void gather(struct page **p)
{
    for (int i = 1; i < SCATTERED; i += 2)
        __free_pages(p[i], 0);
}

/* As long as some of them are seen at an address, frames are nobody else's, and neither is the address. */
static void test_half_mapped_vmalloc(void **state)
{
    enum { N = SCATTERED / 2 };
    struct page *p[SCATTERED];
    struct vmap_area *a;
    uintptr_t first;
    char *other;

    (void)state;
    scatter(p);
    allow_maps(1);
    assert_null(vmalloc(N * PAGE_SIZE));
    assert_int_equal(highmem_used(), SCATTERED);
    a = vmalloc_space.lazy;
    assert_non_null(a);
    assert_int_equal(a->state, AREA_STUCK);
    first = a->start;
    assert_whole();
    /* What could be mapped now goes elsewhere. */
    maps_left = 100;
    other = vmalloc(N * PAGE_SIZE);
    assert_non_null(other);
    assert_true((uintptr_t)other > first);
    memset(other, 0x5a, N * PAGE_SIZE);
    assert_whole();
    /* The check looks at such areas, too. */
    a = vmalloc_space.lazy;
    a->pages--;
    assert_false(kmem_vmalloc_check((char[200]){0}, 200));
    a->pages++;
    allow_all();
    vm_unmap_aliases();
    assert_int_equal(highmem_used(), SCATTERED);
    assert_int_equal(signal_of_touching((char *)first), SIGSEGV);
    assert_true(is_filled((unsigned char *)other, N * PAGE_SIZE, 0x5a));
    vfree(other);
    gather(p);
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(highmem_used(), 0);
    assert_int_equal(vmalloc_space.mappings, 0);
}

static void test_half_mapped_vmap(void **state)
{
    struct page *p[SCATTERED], *some[] = {NULL, NULL};
    uintptr_t first;
    char *v;

    (void)state;
    scatter(p);
    some[0] = p[1];
    some[1] = p[3];
    allow_maps(1);
    assert_null(vmap(some, 2, VM_MAP, PAGE_KERNEL));
    assert_non_null(vmalloc_space.lazy);
    first = vmalloc_space.lazy->start;
    assert_whole();
    maps_left = 100;
    v = vmap(some, 2, VM_MAP, PAGE_KERNEL);
    assert_non_null(v);
    assert_true((uintptr_t)v > first);
    vunmap(v);
    allow_all();
    gather(p);
    vm_unmap_aliases();
    assert_int_equal(signal_of_touching((char *)first), SIGSEGV);
    assert_whole();
    assert_int_equal(highmem_used(), 0);
    assert_int_equal(vmalloc_space.mappings, 0);
}

/* ---- How many mappings ------------------------------------------------------------------------ */

static void test_half_of_the_mappings(void **state)
{
    char text[32] = "";
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");

    (void)state;
    vfree(vmalloc(1));
    if (!f)
        skip();
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_int_equal(vmalloc_space.mappings_max, strtoul(text, NULL, 10) / 2);
}

/* Above the bound there is nothing, until something was freed; what is lazy counts, and goes. */
static void test_bound(void **state)
{
    enum { N = 20 };
    size_t usual = vmalloc_space.mappings_max;
    struct page *page = alloc_pages(GFP_HIGHUSER, 0);
    char *p[N], *v;

    (void)state;
    vm_unmap_aliases();
    assert_int_equal(vmalloc_space.mappings, 0);
    vmalloc_space.mappings_max = 2 * N + 1;
    for (int i = 0; i < N; i++)
        assert_non_null(p[i] = vmalloc(PAGE_SIZE));
    assert_null(vmalloc(PAGE_SIZE));
    assert_null(vmap(&page, 1, VM_MAP, PAGE_KERNEL));
    assert_whole();
    assert_int_equal(highmem_used(), N + 1);
    vfree(p[3]);
    p[3] = vmalloc(2 * PAGE_SIZE);
    assert_non_null(p[3]);
    vfree(p[4]);
    v = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
    assert_non_null(v);
    assert_null(p[4] = vmalloc(PAGE_SIZE));
    vunmap(v);
    assert_non_null(p[4] = vmalloc(PAGE_SIZE));
    vmalloc_space.mappings_max = usual;
    for (int i = 0; i < N; i++)
        vfree(p[i]);
    __free_pages(page, 0);
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(vmalloc_space.mappings, 0);
    assert_int_equal(highmem_used(), 0);
}

/* ---- Flags ------------------------------------------------------------------------------------ */

static void *free_later(void *p)
{
    usleep(50000);
    vfree(p);
    return NULL;
}

/* At the bound nothing is to be had until another thread frees: that is waited for. In a shrinker's hook it is not. */
static void test_no_fail(void **state)
{
    size_t usual = vmalloc_space.mappings_max;
    char *held, *p;
    pthread_t other;

    (void)state;
    vm_unmap_aliases();
    vmalloc_space.mappings_max = vmalloc_space.mappings + 2;
    held = vmalloc(PAGE_SIZE);
    assert_non_null(held);
    in_reclaim = true;
    assert_null(__vmalloc(2 * PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL));
    in_reclaim = false;
    assert_int_equal(pthread_create(&other, NULL, free_later, held), 0);
    p = __vmalloc(2 * PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL | __GFP_ZERO);
    pthread_join(other, NULL);
    vmalloc_space.mappings_max = usual;
    assert_non_null(p);
    assert_true(is_filled((unsigned char *)p, 2 * PAGE_SIZE, 0));
    vfree(p);
    vm_unmap_aliases();
    assert_whole();
    assert_int_equal(highmem_used(), 0);
}

/* There are no frames for them, however long one waits. */
static void test_flags_without_frames(void **state)
{
    size_t calls;

    (void)state;
    vfree(vmalloc(PAGE_SIZE));
    calls = system_calls();
    assert_null(__vmalloc(PAGE_SIZE, GFP_KERNEL | GFP_DMA));
    assert_null(__vmalloc(PAGE_SIZE, GFP_KERNEL | GFP_DMA | __GFP_NOFAIL));
    assert_null(__vmalloc(PAGE_SIZE, GFP_NOWAIT));
    assert_null(__vmalloc(PAGE_SIZE, GFP_ATOMIC | __GFP_NOFAIL));
    assert_null(__vmalloc(129 * MIB, GFP_KERNEL | __GFP_NOFAIL));
    assert_int_equal(system_calls(), calls);
    vm_unmap_aliases();
}

/* ---- Where the system refuses ----------------------------------------------------------------- */

/* As long as the system refuses, vfree() tries one area, and not all that there are. */
static void test_refused_purges(void **state)
{
    enum { N = 60 };
    struct vmalloc_stats before, after;
    size_t calls;
    char *p[N];

    (void)state;
    vm_unmap_aliases();
    for (int i = 0; i < N; i++)
        p[i] = vmalloc(MIB);
    kmem_vmalloc_stats(&before);
    refusal = (struct refusal){.hide = true, .of_16 = 16, .random = 1};
    for (int i = 0; i < 20; i++)
        vfree(p[i]);
    calls = system_calls();
    for (int i = 20; i < N - 1; i++)
        vfree(p[i]);
    assert_int_equal(system_calls() - calls, N - 1 - 20);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.purges, before.purges + 1);
    assert_int_equal(after.lazy_bytes, (N - 1) * MIB);
    assert_whole();
    refusal = (struct refusal){0};
    vfree(p[N - 1]);
    kmem_vmalloc_stats(&after);
    assert_int_equal(after.lazy_bytes, 0);
    assert_whole();
    assert_int_equal(highmem_used(), 0);
}

/* With as many mappings as there may be the system refuses now and then. */
static void unmap_at_the_limit(void)
{
    struct page *p[64];
    char *v, *w, *lazy = vmalloc(10 * PAGE_SIZE), *other, why[200];

    for (int i = 0; i < 64; i++)
        p[i] = alloc_pages(GFP_HIGHUSER, 0);
    v = vmap(p, 1, VM_MAP, PAGE_KERNEL);
    w = vmap(p, 64, VM_MAP, PAGE_KERNEL);
    other = vmalloc(10 * PAGE_SIZE);
    if (!use_up_mappings())
        _exit(77);
    vfree(lazy);
    vm_unmap_aliases();
    lazy = vmalloc(50 * PAGE_SIZE);
    vunmap(v);
    vunmap(w);
    vfree(other);
    vfree(lazy);
    for (int i = 0; i < 64; i++)
        __free_pages(p[i], 0);
    _exit(!kmem_pages_check(why, sizeof why) || !kmem_vmalloc_check(why, sizeof why));
}

static void test_limit_of_mappings(void **state)
{
    struct ending e = ending_of(unmap_at_the_limit);

    (void)state;
    if (e.status == 77 << 8)
        skip();
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

static size_t mappings_of_process(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    size_t lines = 0;

    for (int c; f && (c = getc(f)) != EOF;)
        lines += c == '\n';
    if (f)
        fclose(f);
    return lines;
}

static void expect_or_end(bool right, int otherwise)
{
    if (!right)
        _exit(otherwise);
}

/* Not even a mapping over another is to be had. */
static void use_up_all(void)
{
    char *page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    expect_or_end(page != MAP_FAILED && use_up_mappings(), 77);
    for (int i = 0; i < 3; i++)
        (void)mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect_or_end(mmap(page, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                       0) == MAP_FAILED,
                  77);
}

static bool all_whole(void)
{
    char why[200];

    return kmem_pages_check(why, sizeof why) && kmem_vmalloc_check(why, sizeof why);
}

enum { SMALL = 3000 };

static char *small[SMALL];

static void fork_at_the_limit(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        for (int i = 0; i < SMALL; i++)
            expect_or_end(*small[i] == (char)i, 2);
        vfree(small[0]);
        vm_unmap_aliases();
        expect_or_end(vmalloc_space.lazy == NULL && all_whole(), 3);
        _exit(0);
    }
    waitpid(child, &status, 0);
    expect_or_end(status == 0, 80);
}

/* What vmalloc() holds when the process is at its limit comes back when it is freed, and forks go on. */
static void recover_from_the_limit(void)
{
    struct vmap_area *building;
    size_t before, held;

    vm_unmap_aliases();
    *(small[0] = vmalloc(PAGE_SIZE)) = 0;
    building = space_take(1, PAGE_SIZE); /* nothing is mapped there yet; a child unmaps it */
    for (int i = 1; i < SMALL; i++)
        *(small[i] = vmalloc(PAGE_SIZE)) = (char)i;
    expect_or_end(all_whole(), 81); /* with what that maps */
    use_up_all();
    before = mappings_of_process();
    fork_at_the_limit();
    space_retire(building);
    expect_or_end(vmalloc(2 * PAGE_SIZE) == NULL, 82);
    expect_or_end(all_whole(), 83);
    for (int i = 0; i < SMALL; i++)
        vfree(small[i]);
    vm_unmap_aliases();
    held = before - mappings_of_process();
    expect_or_end(vmalloc_space.lazy == NULL && all_whole() && highmem_used() == 0, 84);
    expect_or_end(held + 10 > (size_t)2 * SMALL && vmalloc(2 * PAGE_SIZE), 85);
}

static void test_recovery(void **state)
{
    struct ending e = ending_of(recover_from_the_limit);

    (void)state;
    if (e.status == 77 << 8)
        skip();
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

/* ---- Fork ------------------------------------------------------------------------------------- */

static void *do_nothing(void *unused)
{
    return unused;
}

/* What another thread was building is nobody's in the child, and must not lead to the parent's frames. */
static void test_fork_while_building(void **state)
{
    pthread_t other;
    char *p = vmalloc(2 * PAGE_SIZE), *q = vmalloc(2 * PAGE_SIZE);
    struct vmap_area *a = area_floor(&vmalloc_space.busy, (uintptr_t)p);

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, do_nothing, NULL), 0);
    pthread_join(other, NULL);
    a->state = AREA_BUILDING;
    assert_int_equal(signal_of_touching(p), SIGSEGV);
    assert_int_equal(signal_of_touching(q), 0);
    a->state = AREA_VMALLOC;
    assert_int_equal(signal_of_touching(p), 0);
    vfree(p);
    vfree(q);
}

static void limit(int what, rlim_t most)
{
    const struct rlimit l = {most, most};

    if (setrlimit(what, &l) != 0)
        _exit(91);
}

/* Forks, and ends as the child does. */
static _Noreturn void fork_and_touch(char *p)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(*p != 7);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

static char *touched(void)
{
    char *p = vmalloc(2 * PAGE_SIZE);

    *p = 7;
    return p;
}

static void fork_beyond_file_size(void)
{
    char *p = touched();

    limit(RLIMIT_FSIZE, PAGE_SIZE);
    fork_and_touch(p);
}

/* The descriptor of the parent's memfd is the only one that the child can have. */
static void fork_with_all_descriptors(void)
{
    char *p = touched();

    while (fcntl(STDERR_FILENO, F_DUPFD, 0) >= 0)
        ;
    fork_and_touch(p);
}

static void fork_without_descriptor(void)
{
    char *p = touched();

    limit(RLIMIT_NOFILE, 0);
    fork_and_touch(p);
}

static void test_fork_without_memfd(void **state)
{
    struct ending e = ending_of(fork_beyond_file_size);

    (void)state;
    assert_int_equal(signal_of(&e), SIGABRT);
    assert_non_null(strstr(e.said, "slub: fork(): a copy of vmalloc()'s memory exceeds the file "
                                   "size limit (ulimit -f): '0x"));
    e = ending_of(fork_without_descriptor);
    assert_int_equal(signal_of(&e), SIGABRT);
    assert_non_null(strstr(e.said, "slub: fork(): no descriptor is free (ulimit -n)"));
    e = ending_of(fork_with_all_descriptors);
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

/* What a program opened in the place of a descriptor that it closed itself is not touched. */
static void fork_after_closing_all(void)
{
    char *p = touched();
    int fd[2], memfd = -1;

    for (struct zone *z = zone_first(); z && memfd < 0; z = zone_next(z))
        memfd = z->fd;
    for (int i = 3; i < 5000; i++)
        close(i);
    if (pipe(fd) != 0)
        _exit(92);
    while (fcntl(fd[1], F_DUPFD, 0) >= 0 && fcntl(memfd, F_GETFD) < 0)
        ;
    if (fork() == 0)
        _exit(write(memfd, "x", 1) != 1 || *p != 7);
    _exit(wait(&fd[0]) < 0 || fd[0] != 0);
}

static void test_fork_after_closing_all(void **state)
{
    (void)state;
    assert_int_equal(ending_of(fork_after_closing_all).status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_vunmap_refused),
    cmocka_unit_test(test_stuck_is_not_reused),
    cmocka_unit_test(test_half_mapped_vmalloc),
    cmocka_unit_test(test_half_mapped_vmap),
    cmocka_unit_test(test_half_of_the_mappings),
    cmocka_unit_test(test_bound),
    cmocka_unit_test(test_refused_purges),
    cmocka_unit_test(test_recovery),
    cmocka_unit_test(test_limit_of_mappings),
    cmocka_unit_test(test_fork_while_building),
    cmocka_unit_test(test_fork_without_memfd),
    cmocka_unit_test(test_fork_after_closing_all),
    cmocka_unit_test(test_no_fail),
    cmocka_unit_test(test_flags_without_frames),
};

/* What other nodes have a part in: which node's memfd it is. */
static const struct CMUnitTest node_tests[] = {
    cmocka_unit_test(test_fork_after_closing_all),
};

DEFINE_GROUP(limits_group, tests)
DEFINE_GROUP(node_group, node_tests)

int main(void)
{
    return in_vmalloc_pools(limits_group, node_group) != 0;
}
