/* Words for a shell, and for a terminal that shows them. Control plane only. */
#ifndef HEAPMARK_UTIL_SHELL_H
#define HEAPMARK_UTIL_SHELL_H

#include <stddef.h>

/*
 * The word as a POSIX shell takes it for an argument: as it is where nothing in it can be special,
 * in '...', or in $'...' (bash, zsh, ksh, POSIX 2024) where it has control characters. The result
 * is valid UTF-8 and holds nothing that a terminal acts upon: bytes that are no UTF-8, control
 * characters and those that turn the direction of writing are escaped. Lives in the pool.
 */
const char *shell_quote(const char *word);

/*
 * The words, each ended by a 0 byte, `bytes` of them in all, quoted and with spaces between; the
 * first one so that it names a program, and neither sets a variable nor names a job.
 */
const char *shell_command(const char *words, size_t bytes);

/*
 * The text with each byte that is no UTF-8 as \xNN, so that it can stand in JSON: as those who read
 * a run see its rows, where names stand as they are. Lives in the pool.
 */
const char *utf8_text(const char *text);

#endif
