/* Words for a shell, and for a terminal that shows them. Control plane only. */
#ifndef HEAPMARK_UTIL_SHELL_H
#define HEAPMARK_UTIL_SHELL_H

#include <stddef.h>

/*
 * The word as a POSIX shell takes it: as it is where nothing in it is special, in '...', or in
 * $'...' (bash, zsh, ksh, POSIX 2024) where it has control characters or quotes. The result is
 * valid UTF-8 and holds nothing that a terminal acts upon: bytes that are no UTF-8, control
 * characters and those that turn the direction of writing are escaped. Lives in the pool.
 */
const char *shell_quote(const char *word);

/* The words, each ended by a 0 byte, `bytes` of them in all, quoted and with spaces between. */
const char *shell_command(const char *words, size_t bytes);

#endif
