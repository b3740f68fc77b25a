/*
 * What happens when the heap is found damaged or misused: one line on standard error, then abort().
 * Nothing is allocated on the way and no lock is dropped: the process must not go on.
 */
#ifndef PTM_FAULT_H
#define PTM_FAULT_H

/* `what` names the function and the fault ("free(): invalid pointer"); `where` is the address. */
_Noreturn void fault(const char *what, const void *where) __attribute__((cold));

#endif
