#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

static void *volatile keep;

void *grab(size_t size)
{
    void *block = malloc(size);
    keep = block;
    return block;
}

int pairs(void)
{
    for (int i = 0; i < ROUNDS; i++)
        free(grab((size_t)i % 500));
    return 0;
}

void *rounds(void *result)
{
    for (int i = 0; i < ROUNDS; i++)
        free(malloc((size_t)i % 500));
    return result;
}

_Noreturn int endless(void)
{
    alarm(300); /* a test that fails before it ends us must not leave a busy machine behind */
    for (;;)
        pairs();
}

int failed(pid_t child)
{
    int status = -1;
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

char **many(size_t count, char *each)
{
    char **all = mmap(NULL, (count + 1) * sizeof *all, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; i++)
        all[i] = each;
    return all;
}
