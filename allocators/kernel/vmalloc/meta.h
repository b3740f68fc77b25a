/*
 * Memory for vmalloc's own records: cells of one size, never given back, apart from the memory they
 * describe.
 */
#ifndef KMEM_META_H
#define KMEM_META_H

#include "lock.h"

enum { META_CELL_BYTES = 256 };

extern struct lock meta_lock;

/* Zeroed; NULL: the system refused. Any thread. */
void *meta_alloc(void);

void meta_free(void *cell);

#endif
