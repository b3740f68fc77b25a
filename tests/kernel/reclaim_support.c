#include "reclaim_support.h"

#include "slub/slub.h"

void begin(void)
{
    alarm(60);
    slub_start();
}

size_t take_pages(void **list, gfp_t gfp)
{
    size_t n = 0;
    void **page;

    for (; (page = (void **)__get_free_pages(gfp, 0)) != NULL; n++) {
        *page = *list;
        *list = page;
    }
    return n;
}

size_t free_list(void **list, bool second)
{
    void **page, *kept = NULL;
    size_t n = 0, freed = 0;

    while ((page = *list) != NULL) {
        *list = *page;
        if (second && (uintptr_t)page >> PAGE_SHIFT & 1) {
            *page = kept;
            kept = page;
        } else {
            free_pages((unsigned long)page, 0);
            freed++;
        }
        n++;
    }
    *list = kept;
    return freed;
}

size_t asked, flushes;
void (*hook)(void);

static unsigned long count_some(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return 1000;
}

static unsigned long ask(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    if (asked++ == 0 && hook)
        hook();
    return SHRINK_STOP;
}

struct shrinker shrinker = {.count_objects = count_some, .scan_objects = ask};

bool count_flush(void)
{
    __atomic_add_fetch(&flushes, 1, __ATOMIC_RELAXED);
    return slub_keeper.flush_idle();
}

void in_vain(void)
{
    slub_keeper.in_vain();
}
