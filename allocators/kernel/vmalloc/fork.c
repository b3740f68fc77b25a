/*
 * Fork. The page layer gives the child memfds of its own; here its areas are mapped once more, onto
 * those. An area that another thread was building is taken from the child: nobody there knows it.
 */
#include "../os.h"
#include "fault.h"
#include "space.h"

void kmem_vmalloc_before_fork(void)
{
    lock_take(&vmalloc_space.purge_lock);
    lock_take(&vmalloc_space.lock);
    lock_take(&vmalloc_space.map_lock);
    lock_take(&meta_lock);
}

void kmem_vmalloc_after_fork_parent(void)
{
    lock_drop(&meta_lock);
    lock_drop(&vmalloc_space.map_lock);
    lock_drop(&vmalloc_space.lock);
    lock_drop(&vmalloc_space.purge_lock);
}

static void map_again(const struct vmap_area *a)
{
    os_spare_drop(); /* which hiding may have brought back */
    if (!space_map_again(a))
        fault("fork(): cannot map the memory of vmalloc() for the child", (void *)a->start);
}

void kmem_vmalloc_after_fork_child(void)
{
    struct vmalloc_space *v = &vmalloc_space;

    lock_reset(&v->map_lock); /* which mapping takes */
    for (struct vmap_area *a = area_above(&v->busy, 0); a; a = area_above(&v->busy, a->start)) {
        /* Nobody's: where it cannot be unmapped the parent's frames are mapped there, and nobody looks. */
        if (a->state == AREA_BUILDING || a->state == AREA_STUCK)
            (void)space_hide(a, a);
        else
            map_again(a);
    }
    if (v->start)
        os_spare_keep();
    lock_reset(&meta_lock);
    lock_reset(&v->lock);
    lock_reset(&v->purge_lock);
}
