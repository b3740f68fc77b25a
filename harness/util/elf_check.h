/* Says before anything runs why a file cannot be preloaded as an allocator. */
#ifndef HEAPMARK_UTIL_ELF_CHECK_H
#define HEAPMARK_UTIL_ELF_CHECK_H

#include <stddef.h>

/*
 * 0 when `path` is a shared object of this machine's architecture that exports malloc and free.
 * Otherwise -EINVAL, and `reason` completes "'x.so' ...": "is not an ELF object".
 */
int elf_check_allocator(const char *path, char *reason, size_t bytes);

#endif
