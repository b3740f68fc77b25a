/*
 * The order of a fork's locks. glibc's fork() takes the lock of its list of streams when all handlers are through,
 * and its own malloc's behind that. A handler that takes a malloc's locks comes too early: a thread in fflush(NULL)
 * has that lock and allocates where a stream's write function does (fopencookie(), open_memstream()), and each waits
 * for the other. So an allocator's handler takes the lock of the streams before its own. It is recursive, and in the
 * child the C library makes it anew. Without the C library's two functions there is nothing to do.
 *
 * For a fork with other threads alone: with one thread fork() leaves the lock as it is, in the child, too.
 */
#ifndef HM_STREAMS_H
#define HM_STREAMS_H

extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));

/* The first thing in the handler before a fork. */
static inline void streams_hold(void)
{
    if (_IO_list_lock && _IO_list_unlock)
        _IO_list_lock();
}

/* The last in the parent's. */
static inline void streams_let_go(void)
{
    if (_IO_list_lock && _IO_list_unlock)
        _IO_list_unlock();
}

#endif
