/* Facts about this machine that env.json keeps and doctor judges. Control plane, one thread. */
#ifndef HEAPMARK_RESULTS_MACHINE_H
#define HEAPMARK_RESULTS_MACHINE_H

#include <stddef.h>

/* The first line of a small file such as those of /sys, from the pool; NULL when it is not there. */
const char *machine_read_line(const char *path);

/* The bracketed choice of a line such as "always [madvise] never", or NULL. */
const char *machine_read_choice(const char *path);

/* "powersave", or NULL where the machine does not say (most virtual ones). */
const char *machine_governor(void);

/* "kvm" and the like; NULL on bare metal or when unknown. */
const char *machine_hypervisor(void);

/* The lower-case hexadecimal SHA-256 of a file, from the pool; NULL when it cannot be read. */
const char *machine_sha256(const char *path);

/* What spoils measurements on this machine: a list of problems, each with its remedy. */
struct machine_problem {
    const char *problem, *remedy;
};
size_t machine_problems(struct machine_problem *problems, size_t capacity);

#endif
