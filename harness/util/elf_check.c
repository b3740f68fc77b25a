#include "util/elf_check.h"

#include "util/errno_text.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(char *reason, size_t bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* The machine that this very program was built for, from its own file. */
static int own_machine(GElf_Ehdr *header)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    int result = elf != NULL && gelf_getehdr(elf, header) != NULL ? 0 : -EINVAL;
    elf_end(elf);
    close(fd);
    return result;
}

static int exports(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, const char *name)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
    for (size_t i = 0; data != NULL && i < count; i++) {
        GElf_Sym symbol;
        if (gelf_getsym(data, (int)i, &symbol) == NULL || symbol.st_shndx == SHN_UNDEF)
            continue;
        const char *found = elf_strptr(elf, header->sh_link, symbol.st_name);
        if (found != NULL && strcmp(found, name) == 0)
            return 1;
    }
    return 0;
}

static int has_dynamic_symbol(Elf *elf, const char *name)
{
    for (Elf_Scn *section = elf_nextscn(elf, NULL); section != NULL;
         section = elf_nextscn(elf, section)) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) != NULL && header.sh_type == SHT_DYNSYM &&
            exports(elf, section, &header, name))
            return 1;
    }
    return 0;
}

static int check_open(Elf *elf, char *reason, size_t bytes)
{
    GElf_Ehdr header, own;
    if (elf == NULL || elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == NULL)
        return refuse(reason, bytes, "is not an ELF object");
    if (own_machine(&own) != 0)
        return 0;
    if (header.e_machine != own.e_machine || header.e_ident[EI_CLASS] != own.e_ident[EI_CLASS])
        return refuse(reason, bytes,
                      "is for another architecture (ELF machine %u, this program's is %u)",
                      header.e_machine, own.e_machine);
    if (header.e_type != ET_DYN)
        return refuse(reason, bytes, "is not a shared object; build it with -shared -fPIC");
    size_t size = 0;
    elf_rawfile(elf, &size);
    if (header.e_shoff + (uint64_t)header.e_shnum * header.e_shentsize > size)
        return refuse(reason, bytes, "is cut off at %zu bytes", size);
    static const char *const needed[] = {"malloc", "free", "calloc", "realloc"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!has_dynamic_symbol(elf, needed[i]))
            return refuse(reason, bytes,
                          "does not export '%s'; an allocator exports malloc, free, calloc and "
                          "realloc under these names",
                          needed[i]);
    return 0;
}

int elf_check_allocator(const char *path, char *reason, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse(reason, bytes, "cannot be opened: %s", errno_text(errno));
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    int result = check_open(elf, reason, bytes);
    elf_end(elf);
    close(fd);
    return result;
}
