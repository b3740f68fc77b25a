/* Threads that wait for others to free memory. */
#ifndef KMEM_WAITERS_H
#define KMEM_WAITERS_H

/* A number that changes when memory comes free. */
unsigned page_waiters_ticket(void);

/* Waits until the ticket is out of date, `ms` at most. */
void page_waiters_wait(unsigned ticket, unsigned ms);

/* Memory came free. Not by those who must not enter the operating system: others look again in time. */
void page_waiters_wake(void);

/* In the child of a fork nobody waits. */
void page_waiters_reset(void);

#endif
