/* Where a library lies in memory, drawn anew. Control plane. */
#ifndef HEAPMARK_RUNNER_ANEW_H
#define HEAPMARK_RUNNER_ANEW_H

#include "plan/plan.h"

/*
 * Has a file's pages read in anew by who opens it next, other ones most likely. What a process has mapped stays as it
 * is, as does what lies on a file system without a disk. Any thread; waits for what is still to be written.
 */
void anew_file(const char *path);

/* The same of all libraries that are preloaded in a plan's trials. */
void anew_contenders(const struct plan *plan);

#endif
