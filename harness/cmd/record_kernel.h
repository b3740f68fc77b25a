/* heapmark record --kernel: the running kernel's own slab and page traffic. */
#ifndef HEAPMARK_CMD_RECORD_KERNEL_H
#define HEAPMARK_CMD_RECORD_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct record_kernel_request {
    bool slab, pages;   /* what is recorded; each has a trace of its own */
    const char *output; /* NULL: kernel.hmt; that of pages beside it, kernel.pages.hmt */
    char **command;     /* NULL-terminated: recording ends with it; NULL: by a signal or the time */
    uint64_t stop_after_ns; /* 0: no limit */
    uint64_t size_max;      /* of all traces, bytes; 0: no limit */
};

/* Records until the end, and tells what there is then. An exit code. Changes the process's signal mask. */
int record_kernel(const struct record_kernel_request *request);

#endif
