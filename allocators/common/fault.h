/*
 * What happens when the heap is found damaged or misused: one line on standard error, then abort().
 * Nothing is allocated on the way and no lock is dropped: the process must not go on.
 */
#ifndef HM_FAULT_H
#define HM_FAULT_H

/* Each allocator defines it: what its faults begin with ("ptmalloc"). */
extern const char fault_subject[];

/* `what` names the function and the fault ("free(): invalid pointer"); `where` is the address. */
_Noreturn void fault(const char *what, const void *where) __attribute__((cold));

#endif
