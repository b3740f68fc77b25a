/*
 * Resident memory of a process, from /proc with plain system calls: nothing here allocates.
 * pid 0 is the calling process. Every function returns bytes, 0 where the kernel does not say. Any
 * thread.
 */
#ifndef HEAPMARK_TRIAL_MEMORY_H
#define HEAPMARK_TRIAL_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/* Exact: walks the page tables (smaps_rollup), some microseconds for each MiB. */
uint64_t memory_rss_bytes(pid_t pid);

/* Lags by up to memory_lag_bytes() of its number of threads either way, and costs as much for any
 * size (statm). */
uint64_t memory_rss_bytes_quick(pid_t pid);
uint64_t memory_lag_bytes(unsigned threads);

/* The most of the calling process since the last reset, as the kernel notes it (VmHWM): exact while
 * memory only grows, else set from what lags. */
uint64_t memory_rss_bytes_peak(void);
void memory_reset_peak(void);

#endif
