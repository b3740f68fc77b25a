/*
 * Fork. The page layer gives the child memfds of its own; here its areas are mapped once more, onto
 * those. An area that another thread was building is taken from the child: nobody there knows it. Where there is
 * no other thread, see slub/fork.c, who builds it was interrupted and goes on in the child, too.
 */
#include "../os.h"
#include "fault.h"
#include "space.h"

/* From before to after. */
static bool locked;

void kmem_vmalloc_before_fork(void)
{
    locked = !single_threaded();
    if (!locked)
        return;
    lock_take(&vmalloc_space.purge_lock);
    lock_take(&vmalloc_space.lock);
    lock_take(&vmalloc_space.map_lock);
    lock_take(&meta_lock);
}

void kmem_vmalloc_after_fork_parent(void)
{
    if (!locked)
        return;
    lock_drop(&meta_lock);
    lock_drop(&vmalloc_space.map_lock);
    lock_drop(&vmalloc_space.lock);
    lock_drop(&vmalloc_space.purge_lock);
}

static void map_again(const struct vmap_area *a)
{
    /* Nobody's: where it cannot be unmapped the parent's frames are mapped there, and nobody looks. */
    if ((a->state == AREA_BUILDING && locked) || a->state == AREA_LEAVING ||
        a->state == AREA_STUCK) {
        (void)space_hide(a, a);
        return;
    }
    /* Who builds it has mapped nothing yet, and would unmap nothing if it goes wrong. */
    if (a->mappings == 0)
        return;
    os_spare_drop(); /* which hiding may have brought back */
    if (!space_map_again(a))
        fault("fork(): cannot map the memory of vmalloc() for the child", (void *)a->start);
}

/* What a signal's handler interrupted has the trees of areas in its hands, or areas that are in none. */
static bool in_the_middle(void)
{
    const struct vmalloc_space *v = &vmalloc_space;

    return !locked && (lock_is_taken(&v->lock) || lock_is_taken(&v->purge_lock));
}

void kmem_vmalloc_after_fork_child(void)
{
    struct vmalloc_space *v = &vmalloc_space;

    if (in_the_middle())
        fault("fork(): in the handler of a signal that came in the middle of vmalloc()",
              (void *)v->start);
    if (locked)
        lock_reset(&v->map_lock); /* which mapping takes */
    for (struct vmap_area *a = area_above(&v->busy, 0); a; a = area_above(&v->busy, a->start))
        map_again(a);
    if (v->start)
        os_spare_keep();
    if (!locked)
        return;
    lock_reset(&meta_lock);
    lock_reset(&v->lock);
    lock_reset(&v->purge_lock);
}
