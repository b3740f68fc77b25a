/*
 * Prints what the functions of malloc.h answer at the edges of what is documented. The test runs it plain
 * and preloaded: the C library is the reference, and every line must be the same.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The compiler knows what these functions do with absurd arguments; this hides them from it. */
static volatile size_t most = SIZE_MAX, half = PTRDIFF_MAX, none = 0;

static const char *error_name(int error)
{
    return error == 0 ? "0" : error == ENOMEM ? "ENOMEM" : error == EINVAL ? "EINVAL" : "other";
}

/* Whether there is memory, its alignment up to a page, and errno (left alone where that was 0). */
static void *show(const char *call, void *p)
{
    size_t align = (uintptr_t)p & -(uintptr_t)p;

    printf("%s: %s, errno %s\n", call, p ? "memory" : "NULL", error_name(errno));
    if (p && align < 16)
        printf("%s: aligned to %zu\n", call, align);
    errno = 0;
    return p;
}

#define SHOW(call)  free(show(#call, call))
#define VALUE(call) printf("%s: %ld\n", #call, (long)(call))

static void limits(void)
{
    SHOW(malloc(0));
    SHOW(malloc(most));
    SHOW(malloc(half + 1));
    SHOW(malloc(half));
    SHOW(malloc(half - 64));
    SHOW(calloc(none, 8));
    SHOW(calloc(8, none));
    SHOW(calloc(most, most));
    SHOW(calloc(half, 3));
    SHOW(calloc(most / 16 + 1, 16));
    SHOW(reallocarray(NULL, most / 16 + 1, 16));
    SHOW(reallocarray(NULL, none, 16));
    SHOW(realloc(NULL, none));
    SHOW(realloc(NULL, most));
}

/* What was given in is still there after a refusal, and gone after a size of 0. */
static void reallocations(void)
{
    char *p = malloc(100);

    strcpy(p, "kept");
    show("realloc(p, most)", realloc(p, most));
    show("realloc(p, half + 1)", realloc(p, half + 1));
    show("reallocarray(p, most, 16)", reallocarray(p, most, 16));
    puts(p);
    show("realloc(p, 0)", realloc(p, none));
    show("reallocarray(p, 4, 0)", reallocarray(malloc(100), 4, none));
}

static void alignments(void)
{
    SHOW(memalign(none, 100));
    SHOW(memalign(1, 100));
    SHOW(memalign(48, 100));
    SHOW(memalign(most, 100));
    SHOW(memalign(most / 2 + 2, 100));
    SHOW(memalign(most / 2 + 1, 100));
    SHOW(memalign(half / 2 + 1, 100));
    SHOW(memalign(4096, most));
    SHOW(memalign(4096, half));
    SHOW(memalign(4096, none));
    SHOW(aligned_alloc(64, 100));
    SHOW(aligned_alloc(64, none));
    SHOW(aligned_alloc(64, most));
    SHOW(valloc(none));
    SHOW(valloc(most));
    SHOW(valloc(half));
    SHOW(pvalloc(none));
    SHOW(pvalloc(most));
    SHOW(pvalloc(half));
    for (size_t align = 0; align <= 64; align = align ? 2 * align : 1) {
        void *p = &p;
        int error = posix_memalign(&p, align, 100);

        printf("posix_memalign %zu: %s, pointer %s\n", align, error_name(error),
               p == &p ? "left alone" : "set");
        if (!error)
            free(p);
    }
    for (size_t align = 24; align <= 40; align += 16) {
        void *p;

        printf("posix_memalign %zu: %s\n", align, error_name(posix_memalign(&p, align, 100)));
    }
}

static void sizes(void)
{
    VALUE(malloc_usable_size(NULL));
    for (size_t bytes = 0; bytes < 1200; bytes += 7) {
        size_t least = bytes < 24 ? 24 : (bytes + 7) / 16 * 16 + 8;
        void *p = malloc(bytes);

        /* A rest of 16 bytes is no chunk, and stays with whom it is cut off for. */
        if (malloc_usable_size(p) != least && malloc_usable_size(p) != least + 16)
            printf("usable %zu: %zu\n", bytes, malloc_usable_size(p));
        free(p);
    }
    for (size_t bytes = 40 << 20; bytes < 41 << 20; bytes += 100001) {
        void *p = malloc(bytes);

        printf("usable %zu: %zu\n", bytes, malloc_usable_size(p));
        printf("mappings %zu, bytes %zu\n", mallinfo2().hblks, mallinfo2().hblkhd);
        free(p);
    }
}

static void options(void)
{
    static const struct {
        const char *name;
        int number;
    } parameters[] = {
        {"M_MXFAST", M_MXFAST},
        {"M_NLBLKS", M_NLBLKS},
        {"M_GRAIN", M_GRAIN},
        {"M_KEEP", M_KEEP},
        {"M_TRIM_THRESHOLD", M_TRIM_THRESHOLD},
        {"M_TOP_PAD", M_TOP_PAD},
        {"M_MMAP_THRESHOLD", M_MMAP_THRESHOLD},
        {"M_MMAP_MAX", M_MMAP_MAX},
        {"M_CHECK_ACTION", M_CHECK_ACTION},
        {"M_PERTURB", M_PERTURB},
        {"M_ARENA_TEST", M_ARENA_TEST},
        {"M_ARENA_MAX", M_ARENA_MAX},
        {"an unknown one", 4711},
    };
    static const int values[] = {-1, 0, 1, 80, 160, 161, 33554432, 33554433, INT32_MAX};

    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        for (size_t n = 0; n < sizeof values / sizeof values[0]; n++)
            /* Refused beyond 32 MiB, as documented; the C library stopped to refuse it. */
            if (parameters[i].number != M_MMAP_THRESHOLD || (size_t)values[n] <= 32 << 20)
                printf("mallopt %s %d: %d\n", parameters[i].name, values[n],
                       mallopt(parameters[i].number, values[n]));
    mallopt(M_PERTURB, 0);
}

static void rest(void)
{
    FILE *null = fopen("/dev/null", "w");

    VALUE(malloc_info(1, null));
    VALUE(malloc_info(-1, null));
    VALUE(malloc_info(0, null));
    fclose(null);
    errno = 77;
    free(NULL);
    free(malloc(10));
    free(malloc((size_t)1 << 20));
    free(malloc((size_t)40 << 20));
    VALUE(errno);
    errno = 0;
}

int main(void)
{
    /* Neither the buffer nor what is behind it moves: the sizes that are shown stay the same. */
    static char buffer[1 << 16];

    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    errno = 0;
    limits();
    reallocations();
    alignments();
    sizes();
    rest();
    options();
    return 0;
}
