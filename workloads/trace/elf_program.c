#include "workloads/trace/elf_program.h"

#include "allocators/common/uncancelled.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool read_at(int fd, void *buffer, size_t bytes, uint64_t at)
{
    return at <= INT64_MAX && uncancelled_pread(fd, buffer, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool read_segment(int fd, const Elf64_Ehdr *header, unsigned index, Elf64_Phdr *segment)
{
    return read_at(fd, segment, sizeof *segment, header->e_phoff + index * sizeof *segment);
}

static bool find_segment(int fd, const Elf64_Ehdr *header, uint32_t type, Elf64_Phdr *segment)
{
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (read_segment(fd, header, i, segment) && segment->p_type == type)
            return true;
    return false;
}

static bool is_whole(int fd, const Elf64_Ehdr *header)
{
    Elf64_Phdr last;
    return header->e_phnum == 0 || read_segment(fd, header, header->e_phnum - 1u, &last);
}

/* ---- the dynamic linker ---------------------------------------------------------------------- */

/* Where in the file an address of the program's lies. */
static bool find_address(int fd, const Elf64_Ehdr *header, uint64_t address, uint64_t *at)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (!read_segment(fd, header, i, &segment) || segment.p_type != PT_LOAD ||
            address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz)
            continue;
        *at = segment.p_offset + (address - segment.p_vaddr);
        return true;
    }
    return false;
}

/* A program that needs none is linked statically too, but has no name as a library: "ld-linux-x86-64.so.2". */
static bool is_linker(int fd, const Elf64_Ehdr *header)
{
    Elf64_Phdr dynamic;
    uint64_t names = 0, name = 0, at;
    char found[3];
    if (header->e_type != ET_DYN || !find_segment(fd, header, PT_DYNAMIC, &dynamic))
        return false;
    for (uint64_t i = 0; i < dynamic.p_filesz / sizeof(Elf64_Dyn); i++) {
        Elf64_Dyn entry;
        if (!read_at(fd, &entry, sizeof entry, dynamic.p_offset + i * sizeof entry) ||
            entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_STRTAB)
            names = entry.d_un.d_ptr;
        if (entry.d_tag == DT_SONAME)
            name = entry.d_un.d_val;
    }
    return names != 0 && name != 0 && find_address(fd, header, names + name, &at) &&
           read_at(fd, found, sizeof found, at) && memcmp(found, "ld-", sizeof found) == 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

enum elf_start elf_start(int fd, const Elf64_Ehdr *header, char *linker, size_t bytes)
{
    Elf64_Phdr named;
    linker[0] = '\0';
    if (!is_whole(fd, header))
        return ELF_START_NONE;
    if (!find_segment(fd, header, PT_INTERP, &named))
        return is_linker(fd, header) ? ELF_START_LINKER : ELF_START_STATIC;
    if (named.p_filesz > 0 && named.p_filesz < bytes &&
        read_at(fd, linker, named.p_filesz, named.p_offset))
        linker[named.p_filesz] = '\0';
    else
        linker[0] = '\0';
    return ELF_START_LINKED;
}
