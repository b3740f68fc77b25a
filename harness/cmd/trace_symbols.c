#include "cmd/trace_symbols.h"

#include "workloads/trace/raw.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct function {
    uint64_t begin, end; /* addresses as in the file */
    char *name;
};

struct module {
    char *path;
    bool read;                  /* its functions are known, or it has none to tell */
    struct function *functions; /* by address */
    size_t function_count;
    GElf_Phdr *loads; /* what of the file goes where */
    size_t load_count;
};

/* A piece of memory that holds a piece of a file. */
struct mapping {
    uint64_t begin, end, offset;
    size_t module;
};

struct symbols {
    int64_t recorded_at;
    struct mapping *mappings;
    size_t mapping_count;
    struct module *modules;
    size_t module_count;
};

/* Room for one more; NULL without memory. */
static void *grow(void *list, size_t count, size_t element_bytes)
{
    if ((count & (count - 1)) != 0)
        return list;
    return realloc(list, (count > 0 ? 2 * count : 1) * element_bytes);
}

/* ---- the list of modules --------------------------------------------------------------------- */

static bool find_module(struct symbols *s, const char *path, size_t *module)
{
    for (*module = 0; *module < s->module_count; ++*module)
        if (strcmp(s->modules[*module].path, path) == 0)
            return true;
    struct module *modules = grow(s->modules, s->module_count, sizeof *modules);
    if (modules == NULL)
        return false;
    s->modules = modules;
    modules[*module] = (struct module){.path = strdup(path)};
    return modules[*module].path != NULL && ++s->module_count > 0;
}

static bool add_mapping(struct symbols *s, const char *line)
{
    struct mapping mapping;
    char path[PATH_MAX] = "";
    int fields = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095[^\n]",
                        &mapping.begin, &mapping.end, &mapping.offset, path);
    if (fields < 4 || path[0] != '/')
        return true; /* no file */
    struct mapping *mappings = grow(s->mappings, s->mapping_count, sizeof *mappings);
    if (mappings == NULL)
        return false;
    s->mappings = mappings;
    if (!find_module(s, path, &mapping.module))
        return false;
    mappings[s->mapping_count++] = mapping;
    return true;
}

struct symbols *symbols_open(const char *path, int64_t recorded_at)
{
    char maps[PATH_MAX + 16], *line = NULL;
    size_t capacity = 0;
    bool good = true;
    snprintf(maps, sizeof maps, "%s%s", path, RAW_MAPS_SUFFIX);
    FILE *file = fopen(maps, "re");
    struct symbols *s = file != NULL ? calloc(1, sizeof *s) : NULL;
    if (s != NULL)
        s->recorded_at = recorded_at;
    while (s != NULL && good && getline(&line, &capacity, file) > 0)
        good = add_mapping(s, line);
    free(line);
    if (file != NULL)
        fclose(file);
    if (good)
        return s;
    symbols_close(s);
    return NULL;
}

/* ---- a module's functions -------------------------------------------------------------------- */

static void add_function(struct module *m, const GElf_Sym *symbol, const char *name)
{
    if (GELF_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_value == 0 || name == NULL)
        return;
    struct function *functions = grow(m->functions, m->function_count, sizeof *functions);
    if (functions == NULL)
        return;
    m->functions = functions;
    functions[m->function_count] =
        (struct function){symbol->st_value, symbol->st_value + symbol->st_size, strdup(name)};
    m->function_count += functions[m->function_count].name != NULL;
}

static void read_table(struct module *m, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Sym symbol;
    if (data == NULL || header->sh_entsize == 0)
        return;
    for (size_t i = 0; i < header->sh_size / header->sh_entsize && i < INT_MAX; i++)
        if (gelf_getsym(data, (int)i, &symbol) != NULL)
            add_function(m, &symbol, elf_strptr(elf, header->sh_link, symbol.st_name));
}

/* The full table if the file has it, else that of the dynamic linker. */
static void read_functions(struct module *m, Elf *elf)
{
    static const GElf_Word types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (size_t i = 0; i < 2 && m->function_count == 0; i++) {
        Elf_Scn *section = NULL;
        GElf_Shdr header;
        while ((section = elf_nextscn(elf, section)) != NULL)
            if (gelf_getshdr(section, &header) != NULL && header.sh_type == types[i])
                read_table(m, elf, section, &header);
    }
}

static void read_loads(struct module *m, Elf *elf)
{
    size_t count;
    GElf_Phdr load;
    if (elf_getphdrnum(elf, &count) != 0)
        return;
    m->loads = calloc(count + 1, sizeof *m->loads);
    for (size_t i = 0; m->loads != NULL && i < count; i++)
        if (gelf_getphdr(elf, (int)i, &load) != NULL && load.p_type == PT_LOAD)
            m->loads[m->load_count++] = load;
}

static int by_address(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* A list may name anything: a pipe would never open, and a device does who knows what. */
static int open_unchanged(const char *path, int64_t since)
{
    struct stat file;
    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode) || file.st_mtime > since)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_module(const struct symbols *s, struct module *m)
{
    m->read = true;
    int fd = open_unchanged(m->path, s->recorded_at);
    elf_version(EV_CURRENT);
    Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
    if (elf != NULL) {
        read_loads(m, elf);
        read_functions(m, elf);
        elf_end(elf);
    }
    if (m->function_count > 0)
        qsort(m->functions, m->function_count, sizeof *m->functions, by_address);
    if (fd >= 0)
        close(fd);
}

/* ---- names ----------------------------------------------------------------------------------- */

/*
 * A C++ function as it is written in the source; the caller frees it. NULL where it is none, or where
 * the machine has no C++ library: heapmark itself does without one.
 */
static char *demangled(const char *name)
{
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool looked;
    int status;
    if (strncmp(name, "_Z", 2) != 0)
        return NULL;
    void *library = looked ? NULL : dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
    if (library != NULL)
        demangle =
            (char *(*)(const char *, char *, size_t *, int *))dlsym(library, "__cxa_demangle");
    looked = true;
    return demangle != NULL ? demangle(name, NULL, NULL, &status) : NULL;
}

/* Templates may make a name longer than anyone reads: its module and offset must fit behind it. */
static void print_function(char *text, size_t bytes, const char *name, uint64_t offset,
                           const char *module)
{
    enum { NAME_MAX_SHOWN = 200 };
    char *plain = demangled(name);
    const char *shown = plain != NULL ? plain : name;
    snprintf(text, bytes, "%.*s%s+0x%" PRIx64 " (%s)", NAME_MAX_SHOWN, shown,
             strlen(shown) > NAME_MAX_SHOWN ? "..." : "", offset, module);
    free(plain);
}

/* ---- looking up ------------------------------------------------------------------------------ */

static const struct mapping *find_mapping(const struct symbols *s, uint64_t address)
{
    for (size_t i = 0; i < s->mapping_count; i++)
        if (address >= s->mappings[i].begin && address < s->mappings[i].end)
            return &s->mappings[i];
    return NULL;
}

/* The last function that begins at or before the address, if it reaches there. */
static const struct function *find_function(const struct module *m, uint64_t address)
{
    size_t low = 0, high = m->function_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->functions[middle].begin <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && address < m->functions[low - 1].end ? &m->functions[low - 1] : NULL;
}

static bool address_in_file(const struct module *m, uint64_t offset, uint64_t *address)
{
    for (size_t i = 0; i < m->load_count; i++) {
        const GElf_Phdr *load = &m->loads[i];
        if (offset < load->p_offset || offset - load->p_offset >= load->p_filesz)
            continue;
        *address = offset - load->p_offset + load->p_vaddr;
        return true;
    }
    return false;
}

/* The call stands before the address that it returns to, which may be another function's. */
const char *symbols_describe(struct symbols *s, uint64_t address, char *text, size_t bytes)
{
    const struct mapping *mapping = s != NULL ? find_mapping(s, address - 1) : NULL;
    if (mapping == NULL) {
        snprintf(text, bytes, "0x%" PRIx64, address);
        return text;
    }
    struct module *module = &s->modules[mapping->module];
    const char *slash = strrchr(module->path, '/');
    uint64_t offset = address - 1 - mapping->begin + mapping->offset, place = offset;
    if (!module->read)
        read_module(s, module);
    const struct function *function =
        address_in_file(module, offset, &place) ? find_function(module, place) : NULL;
    if (function != NULL)
        print_function(text, bytes, function->name, place + 1 - function->begin, slash + 1);
    else
        snprintf(text, bytes, "%s+0x%" PRIx64, slash + 1, place + 1);
    return text;
}

void symbols_close(struct symbols *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->module_count; i++) {
        struct module *m = &s->modules[i];
        for (size_t k = 0; k < m->function_count; k++)
            free(m->functions[k].name);
        free(m->functions);
        free(m->loads);
        free(m->path);
    }
    free(s->modules);
    free(s->mappings);
    free(s);
}
