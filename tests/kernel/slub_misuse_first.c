/* No call is misuse for being the first of its program. */
#include "slub_misuse.h"

#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"

void went_on(const void *got)
{
    if (!got || write(STDERR_FILENO, "slub: went on\n", 14) < 0)
        _exit(3);
}

static void first_pages(void)
{
    went_on((void *)__get_free_pages(GFP_KERNEL, 1));
}

static void first_vmalloc(void)
{
    went_on(vmalloc(10000));
}

static void first_kmalloc(void)
{
    went_on(kmalloc(100, GFP_KERNEL));
}

static void first_calloc(void)
{
    went_on(slub_calloc(10, 10000));
}

static void first_others(void)
{
    vm_unmap_aliases();
    slub_free(NULL);
    slub_mallopt(M_PERTURB, 0);
    went_on(slub_memalign(4096, 100));
}

const struct misuse misuse_none[] = {
    {FINE(first_pages), "slub: went on"},   {FINE(first_vmalloc), "slub: went on"},
    {FINE(first_kmalloc), "slub: went on"}, {FINE(first_calloc), "slub: went on"},
    {FINE(first_others), "slub: went on"},  {0},
};
