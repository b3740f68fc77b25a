/*
 * How an ELF program is started, by its headers: nothing of it is mapped, and little goes on the stack.
 * Async-signal-safe.
 */
#ifndef HEAPMARK_TRACE_ELF_PROGRAM_H
#define HEAPMARK_TRACE_ELF_PROGRAM_H

#include <elf.h>
#include <stddef.h>

enum elf_start {
    ELF_START_NONE,   /* it was cut off: its headers lie behind its end */
    ELF_START_STATIC, /* by itself */
    ELF_START_LINKED, /* by the dynamic linker that it names */
    ELF_START_LINKER, /* it is a dynamic linker, given a program's path */
};

/* Of the file with this header. *linker: the path that it names, "" if that is too long. */
enum elf_start elf_start(int fd, const Elf64_Ehdr *header, char *linker, size_t bytes);

#endif
