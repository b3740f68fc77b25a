/*
 * Return addresses as functions and modules. The modules come from the list that a recording with
 * stacks leaves beside its trace (TRACE.maps, a copy of /proc/PID/maps), the functions from the
 * modules' ELF symbols where they have any; C++ ones as they are written in the source, where a C++
 * library is installed. Not thread-safe.
 */
#ifndef HEAPMARK_CMD_TRACE_SYMBOLS_H
#define HEAPMARK_CMD_TRACE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct symbols;

/*
 * Reads the list of the trace at `path`, recorded at a time in seconds since 1970: of modules that
 * were changed later no functions are told. NULL when there is no list, or no memory.
 */
struct symbols *symbols_open(const char *path, int64_t recorded_at);

/* "inflate+0x2c (libz.so.1)", "libz.so.1+0x5a2c", or the address alone. Returns `text`. */
const char *symbols_describe(struct symbols *symbols, uint64_t address, char *text, size_t bytes);

void symbols_close(struct symbols *symbols); /* NULL is fine */

#endif
