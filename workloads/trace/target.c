#include "workloads/trace/target.h"

#include "allocators/common/uncancelled.h"
#include "workloads/trace/elf_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    INTERPRETERS_MAX = 4, /* as many as the kernel follows */
    HEAD_BYTES = 512, /* what is read of a file, and more than the kernel takes of a "#!" line */
};

struct failure {
    char *text;
    size_t bytes;
    const char *subject;
};

static int fail(struct failure *failure, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct failure *failure, int error, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(failure->text, failure->bytes, "cannot record '%s': ", failure->subject);
    if (used < 0 || (size_t)used >= failure->bytes)
        return error;
    va_start(arguments, format);
    vsnprintf(failure->text + used, failure->bytes - (size_t)used, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- finding it ------------------------------------------------------------------------------ */

static bool is_program(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
}

static bool find_in_path(const char *name, char path[PATH_MAX])
{
    const char *at = getenv("PATH");
    if (at == NULL)
        at = "/usr/bin:/bin";
    for (;;) {
        int length = (int)strcspn(at, ":");
        int used = snprintf(path, PATH_MAX, "%.*s%s%s", length, at, length > 0 ? "/" : "./", name);
        if (used < PATH_MAX && is_program(path))
            return true;
        if (at[length] == '\0')
            return false;
        at += length + 1;
    }
}

static int no_such_file(struct failure *failure, int error)
{
    return fail(failure, -error,
                "%s; what stands behind -- is a program's path, or its name if it is in PATH",
                strerrordesc_np(error));
}

static int find(const char *name, char path[PATH_MAX], struct failure *failure)
{
    if (strchr(name, '/') == NULL) {
        if (find_in_path(name, path))
            return 0;
        return fail(failure, -ENOENT, "no such program in PATH; give its path");
    }
    struct stat file;
    if (stat(name, &file) != 0)
        return no_such_file(failure, errno);
    if (!is_program(name))
        return fail(failure, -EACCES,
                    "it is not an executable file; name the program that runs it, with it behind");
    snprintf(path, PATH_MAX, "%s", name);
    return 0;
}

/* ---- looking into it ------------------------------------------------------------------------- */

/*
 * The dynamic linker ignores LD_PRELOAD in programs that gain rights, unless we have them all. A file
 * system can be mounted so that none gains any; a process can have given up that its programs become
 * another user or group, but their capabilities still count as gained.
 */
static int check_rights(int fd, const struct stat *file, struct failure *failure)
{
    struct statvfs system;
    bool is_nosuid = fstatvfs(fd, &system) == 0 && (system.f_flag & ST_NOSUID);
    bool may_set = !is_nosuid && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
    bool is_setuid = may_set && (file->st_mode & S_ISUID);
    bool is_setgid = may_set && (file->st_mode & S_ISGID);
    bool set_user = (is_setuid ? file->st_uid : geteuid()) != getuid();
    bool set_group = (is_setgid ? file->st_gid : getegid()) != getgid();
    if (set_user || set_group)
        return fail(failure, -EPERM,
                    "it is setuid or setgid, and such programs ignore LD_PRELOAD; "
                    "run it as the user that it becomes");
    if (!is_nosuid && geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return fail(failure, -EPERM,
                    "it has file capabilities, and such programs ignore LD_PRELOAD");
    return 0;
}

static unsigned own_machine(void)
{
#if defined(__x86_64__)
    return EM_X86_64;
#elif defined(__aarch64__)
    return EM_AARCH64;
#else
    return EM_NONE;
#endif
}

/* `linker` is room for the dynamic linker's path. Where that is not there, all the kernel says is "no such file". */
static int check_elf(int fd, const Elf64_Ehdr *header, char linker[HEAD_BYTES],
                     struct failure *failure)
{
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != own_machine())
        return fail(failure, -ENOEXEC,
                    "it is a program for another architecture than heapmark itself");
    enum elf_start start = elf_start(fd, header, linker, HEAD_BYTES);
    if (start == ELF_START_NONE)
        return fail(failure, -EINVAL, "it was cut off: its file ends before its program headers");
    if (start == ELF_START_STATIC)
        return fail(failure, -ENOEXEC,
                    "it is statically linked, and the recorder is a preloaded "
                    "library; link it dynamically");
    if (linker[0] != '\0' && access(linker, F_OK) != 0 && errno == ENOENT)
        return fail(failure, -ENOENT,
                    "its dynamic linker '%s' is missing; install what brings it, or link the "
                    "program for this system",
                    linker);
    return 0;
}

/* The path after "#!". */
static int script_interpreter(char *line, char path[HEAD_BYTES], struct failure *failure)
{
    char *start = line + 2 + strspn(line + 2, " \t");
    start[strcspn(start, " \t\r\n")] = '\0';
    if (*start == '\0')
        return fail(failure, -EINVAL, "its first line names no interpreter");
    snprintf(path, HEAD_BYTES, "%s", start);
    return 0;
}

/* 0: preloadable; 1: a script, `next` is its interpreter; -errno. */
static int look_into(int fd, char next[HEAD_BYTES], struct failure *failure)
{
    union {
        Elf64_Ehdr elf;
        char text[HEAD_BYTES];
    } head = {.text = ""};
    struct stat file;
    if (fstat(fd, &file) != 0)
        return fail(failure, -errno, "%s", strerrordesc_np(errno));
    if (!S_ISREG(file.st_mode))
        return fail(failure, -EACCES, "it is not an executable file");
    ssize_t got = uncancelled_read(fd, head.text, sizeof head.text - 1);
    int result;
    if (got >= (ssize_t)sizeof head.elf && memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0)
        result = check_elf(fd, &head.elf, next, failure);
    else if (got > 2 && memcmp(head.text, "#!", 2) == 0)
        result = script_interpreter(head.text, next, failure) == 0 ? 1 : -EINVAL;
    else
        result =
            fail(failure, -EINVAL,
                 "it is neither an ELF program nor a script that names its interpreter; one of a "
                 "shell's is recorded as 'sh SCRIPT', or with '#!/bin/sh' as its first line");
    return result == 0 ? check_rights(fd, &file, failure) : result;
}

/* As look_into(). To open a pipe must not wait for its other end, nor a terminal become this process's. */
static int look_at(const char *path, bool is_script, char next[HEAD_BYTES], struct failure *failure)
{
    int fd = uncancelled_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return is_script ? fail(failure, -errno, "its first line names the interpreter '%s': %s",
                                path, strerrordesc_np(errno))
                         : fail(failure, -errno, "%s", strerrordesc_np(errno));
    int result = look_into(fd, next, failure);
    uncancelled_close(fd);
    return result;
}

/* Scripts may be interpreted by scripts. Little goes on the stack, which may be a signal handler's. */
static int check(const char *path, struct failure *failure)
{
    char one[HEAD_BYTES], other[HEAD_BYTES], *next = one;
    for (int i = 0; i <= INTERPRETERS_MAX; i++) {
        int result = look_at(path, i > 0, next, failure);
        if (result <= 0)
            return result;
        path = next;
        next = next == one ? other : one;
    }
    return fail(failure, -ELOOP, "its interpreters are scripts without end");
}

int target_check(const char *path, char *error, size_t error_bytes)
{
    struct failure failure = {error, error_bytes, path};
    return check(path, &failure);
}

int target_find(const char *name, char path[PATH_MAX], char *error, size_t error_bytes)
{
    struct failure failure = {error, error_bytes, name};
    int result = find(name, path, &failure);
    return result == 0 ? check(path, &failure) : result;
}
