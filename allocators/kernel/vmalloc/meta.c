#include "meta.h"

#include <string.h>

#include "../os.h"

enum { BLOCK_BYTES = 64 << 10 };

struct cell {
    struct cell *next;
};

struct lock meta_lock;
static struct cell *free_cells;

/* The cells of one more block; lock held. */
static void add_block(void)
{
    char *block = kmem_os.map(BLOCK_BYTES);

    for (size_t at = BLOCK_BYTES; block && at > 0;) {
        struct cell *c = (struct cell *)(block + (at -= META_CELL_BYTES));

        c->next = free_cells;
        free_cells = c;
    }
}

void *meta_alloc(void)
{
    struct cell *c;

    lock_take(&meta_lock);
    if (!free_cells)
        add_block();
    if ((c = free_cells) != NULL)
        free_cells = c->next;
    lock_drop(&meta_lock);
    return c ? memset(c, 0, META_CELL_BYTES) : NULL;
}

void meta_free(void *cell)
{
    struct cell *c = cell;

    lock_take(&meta_lock);
    c->next = free_cells;
    free_cells = c;
    lock_drop(&meta_lock);
}
