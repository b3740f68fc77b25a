/* All locks of zones and CPU lists, in their order: around fork, and to look at everything. */
#ifndef KMEM_LOCKS_H
#define KMEM_LOCKS_H

void page_locks_take(void);
void page_locks_drop(void);

#endif
