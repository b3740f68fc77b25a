/*
 * Run under preload: every standard name must come from the object given as argument, and work.
 * Also what only a whole process shows: memory from before main, handlers at exit, C library
 * buffers.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *early;

__attribute__((constructor)) static void before_main(void)
{
    early = malloc(1000);
    memset(early, 7, 1000);
}

static int comes_from(const char *object, const char *name)
{
    void *f = dlsym(RTLD_DEFAULT, name);
    Dl_info info;

    if (f && dladdr(f, &info) && strstr(info.dli_fname, object))
        return 1;
    fprintf(stderr, "'%s' does not come from '%s'\n", name, object);
    return 0;
}

static void at_exit(void)
{
    free(early);
    free(malloc(100));
}

static void *thread(void *unused)
{
    (void)unused;
    return malloc(100);
}

/* mallinfo() is deprecated, and still to be served. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Which the C library may not declare. */
static void free_with_sizes(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");

    sized(malloc(10), 10);
    sized(NULL, 10);
    aligned(aligned_alloc(256, 512), 256, 512);
}

static int works(void)
{
    void *p, *q;
    pthread_t t;

    free_with_sizes();
    free(reallocarray(calloc(3, 5), 10, 20));
    free(memalign(64, 10));
    free(aligned_alloc(64, 64));
    free(valloc(1));
    free(pvalloc(1));
    if (posix_memalign(&p, 128, 77) != 0 || malloc_usable_size(p) < 77)
        return 0;
    free(realloc(p, 100000));
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, &q);
    free(q);
    return mallopt(M_MXFAST, 64) == 1 && mallinfo2().arena > 0 && mallinfo().arena > 0 &&
           malloc_info(0, stdout) == 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"malloc",
                                        "free",
                                        "free_sized",
                                        "free_aligned_sized",
                                        "calloc",
                                        "realloc",
                                        "reallocarray",
                                        "memalign",
                                        "aligned_alloc",
                                        "posix_memalign",
                                        "valloc",
                                        "pvalloc",
                                        "malloc_usable_size",
                                        "mallopt",
                                        "malloc_trim",
                                        "mallinfo",
                                        "mallinfo2",
                                        "malloc_stats",
                                        "malloc_info"};
    int good = argc == 2;

    atexit(at_exit);
    for (size_t i = 0; good && i < sizeof names / sizeof names[0]; i++)
        good = comes_from(argv[1], names[i]);
    good = good && works();
    malloc_trim(0);
    malloc_stats();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
