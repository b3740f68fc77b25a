/*
 * exec() and posix_spawn(): the program that comes next is recorded too, whatever environment it is
 * given. `env -i`, a shell's `LD_PRELOAD=other.so`, a server that starts its helpers with three
 * variables of its own: all these would leave the recorder behind.
 *
 * The new program gets the caller's environment, and in it our two variables as this process got
 * them: LD_PRELOAD with this library in front of what the caller wants there, so that calls come
 * here first. The caller's own array stays as it is: these functions may run in a child of vfork(),
 * whose memory is its parent's, or in a signal handler. So nothing is allocated either, but on the
 * stack.
 *
 * glibc's functions of this family call each other inside, past what is exported; so each is here.
 * Where the next program cannot be preloaded, its name is left in the raw file for the user.
 */
#include "workloads/trace/recorder_log.h"
#include "workloads/trace/target.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define PRELOAD "LD_PRELOAD="
#define RAW     RAW_ENV "="

/*
 * A signal handler's stack may have 8 KiB, of which the kernel's frame alone takes up to 3. So much holds
 * an environment of some 200 variables.
 */
enum { STACK_BYTES_MAX = 2048 };

/* More than the kernel takes: 6 MiB at most, of which each needs a pointer and a byte. */
enum { VARIABLES_MAX = (6 << 20) / 9 };

static struct {
    int (*execve)(const char *, char *const[], char *const[]);
    int (*execvpe)(const char *, char *const[], char *const[]);
    int (*fexecve)(int, char *const[], char *const[]);
    int (*posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                       const posix_spawnattr_t *, char *const[], char *const[]);
    int (*posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                        const posix_spawnattr_t *, char *const[], char *const[]);
} next;

/* What the next program is given: "LD_PRELOAD=" and this library, and the raw file's variable. */
static char preload[sizeof PRELOAD + PATH_MAX], raw[sizeof RAW + PATH_MAX];
static pid_t own_memory_of; /* a process that is no child of vfork(); 0: not known */

/* One call of the family. Those that take a descriptor have no search, and the other way round. */
struct call {
    int (*run)(const struct call *call, char *const environment[]);
    const char *path;
    char *const *arguments;
    bool searches;  /* in PATH, if the name has no slash */
    int descriptor; /* AT_FDCWD: `path` alone tells */
    int flags;      /* of execveat() */

    /* posix_spawn(): the process that calls goes on. */
    pid_t *child; /* NULL: exec() */
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
};

/* ---- what the next program gets -------------------------------------------------------------- */

static void find_out(void)
{
    Dl_info self;
    const char *path = getenv(RAW_ENV);
    next.execve = dlsym(RTLD_NEXT, "execve");
    next.execvpe = dlsym(RTLD_NEXT, "execvpe");
    next.fexecve = dlsym(RTLD_NEXT, "fexecve");
    next.posix_spawn = dlsym(RTLD_NEXT, "posix_spawn");
    next.posix_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
    if (path == NULL || strlen(path) >= PATH_MAX || dladdr(preload, &self) == 0 ||
        strlen(self.dli_fname) >= PATH_MAX)
        return;
    memcpy(raw, RAW, sizeof RAW);
    strcat(raw, path);
    memcpy(preload, PRELOAD, sizeof PRELOAD);
    strcat(preload, self.dli_fname);
}

/* Not in a child of vfork(), nor where a program forks by a system call of its own. */
static void has_own_memory(void)
{
    own_memory_of = log_confined == 0 ? getpid() : 0; /* which it may not ask for then */
}

void log_exec_begin(void)
{
    find_out();
    has_own_memory();
    pthread_atfork(NULL, NULL, has_own_memory);
}

/*
 * How to ask for what the next program will have the right to. Through exec() a user other than root keeps ambient
 * capabilities alone, of all those by which it may be allowed more now; asked by its real IDs, it has none.
 */
static int rights_after(void)
{
    uid_t user = getuid();
    bool is_itself = user == geteuid() && getgid() == getegid();
    bool keeps = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_DAC_OVERRIDE, 0, 0) == 1;
    return is_itself && user != 0 && !keeps ? 0 : AT_EACCESS;
}

/* After chroot(), or with other rights, the recorder's files may be out of reach for who comes next. */
static bool is_in_reach(void)
{
    int rights = rights_after();
    return faccessat(AT_FDCWD, preload + strlen(PRELOAD), R_OK, rights) == 0 &&
           faccessat(AT_FDCWD, raw + strlen(RAW), R_OK | W_OK, rights) == 0;
}

/*
 * A process that has confined itself may be killed for a system call that exec() does not need. What
 * `heapmark record` was itself confined by, such as a container's filter, lets us look.
 */
static bool may_look(void)
{
    return log_confined == 0 &&
           ((log_header->options & RAW_CONFINED) || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the caller's LD_PRELOAD has this library in front already. */
static bool leads(const char *entry)
{
    size_t length = strlen(preload);
    return strncmp(entry, preload, length) == 0 && strchr(": ", entry[length]) != NULL;
}

struct wanted {
    size_t count;       /* variables */
    const char *others; /* what the caller wants preloaded; of several the linker takes the last */
    bool as_it_is;      /* it has all that we would put into it */
};

static struct wanted look_at(char *const environment[])
{
    struct wanted wanted = {.others = ""};
    bool has_library = false, has_raw = false;
    for (; environment != NULL && environment[wanted.count] != NULL; wanted.count++) {
        const char *entry = environment[wanted.count];
        if (begins_with(entry, PRELOAD)) {
            wanted.others = entry + strlen(PRELOAD);
            has_library = leads(entry);
        } else if (begins_with(entry, RAW)) {
            has_raw = strcmp(entry, raw) == 0;
        }
    }
    wanted.as_it_is = has_library && has_raw;
    return wanted;
}

/* "LD_PRELOAD=", this library, and behind it the others. */
static void join(char *text, const char *others)
{
    strcpy(text, preload);
    if (*others == '\0')
        return;
    strcat(text, ":");
    strcat(text, others);
}

static void fill(char **filled, char *const environment[], const struct wanted *wanted, char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < wanted->count; i++)
        if (!begins_with(environment[i], PRELOAD) && !begins_with(environment[i], RAW))
            filled[count++] = environment[i];
    join(text, wanted->others);
    filled[count++] = text;
    filled[count++] = raw;
    filled[count] = NULL;
}

/*
 * A large environment goes elsewhere than on a thread's small stack. But not where this may be a
 * child of vfork(): in its parent what was mapped here would stay for ever. There it is the stack
 * still. That of a main thread has room: the kernel allows an environment a quarter of it, and a
 * larger one is E2BIG with ours in it or without. A small thread's may have none.
 */
static int run_with_ours(const struct call *call, char *const environment[])
{
    struct wanted wanted = look_at(environment);
    size_t pointers = (wanted.count + 3) * sizeof(char *);
    size_t bytes = pointers + strlen(preload) + strlen(wanted.others) + sizeof ":";
    if (wanted.as_it_is || wanted.count > VARIABLES_MAX || (may_look() && !is_in_reach()))
        return call->run(call, environment);
    bool on_stack = bytes <= STACK_BYTES_MAX || log_confined > 0 || getpid() != own_memory_of;
    char *area =
        on_stack ? __builtin_alloca(bytes)
                 : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return call->run(call, environment);
    fill((char **)area, environment, &wanted, area + pointers);
    int result = call->run(call, (char **)area), saved_errno = errno;
    if (!on_stack)
        munmap(area, bytes);
    errno = saved_errno;
    return result;
}

/* ---- programs that cannot be recorded -------------------------------------------------------- */

/* Room for what is told of a program, in two forms. */
struct names {
    char told[PATH_MAX];   /* to the user */
    char opened[PATH_MAX]; /* by which it is reached, though it may have no name any more */
};

/* What a descriptor leads to, and the path from there. Nothing is told when it cannot be read. */
static void names_from(const struct call *call, struct names *names)
{
    const char *slash = call->path[0] != '\0' ? "/" : "";
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", call->descriptor);
    snprintf(names->opened, PATH_MAX, "%s%s%s", link, slash, call->path);
    ssize_t length = readlink(link, names->told, PATH_MAX - 1);
    size_t used = length > 0 ? (size_t)length : 0;
    names->told[used] = '\0';
    if (used > 0)
        snprintf(names->told + used, PATH_MAX - used, "%s%s", slash, call->path);
}

/*
 * What is to be done in a spawned child may have put it into another directory, from which its path leads: the one
 * that it is in, if it is still there to be asked. False: the path leads from ours.
 */
static bool names_from_child(const struct call *call, struct names *names)
{
    bool is_relative = call->path[0] != '/' && (!call->searches || strchr(call->path, '/') != NULL);
    if (call->actions == NULL || !is_relative)
        return false;
    snprintf(names->opened, PATH_MAX, "/proc/%d/cwd/%s", (int)*call->child, call->path);
    return access(names->opened, F_OK) == 0;
}

/* *told: the program, as far as it is known; `room` may hold it. 0, or what target_check() says. */
static int check_target(const struct call *call, const char **told, struct names *room)
{
    char unread;
    *told = call->path;
    if (names_from_child(call, room))
        return target_check(room->opened, &unread, sizeof unread);
    *told = room->told;
    if (call->searches)
        return target_find(call->path, room->told, &unread, sizeof unread);
    if (call->descriptor != AT_FDCWD && call->path[0] != '/') {
        names_from(call, room);
        return target_check(room->opened, &unread, sizeof unread);
    }
    *told = call->path;
    return target_check(call->path, &unread, sizeof unread);
}

/*
 * Leaves a word for the user when the call makes a program that cannot be recorded, or if it is known
 * already that there is no room for our variables. *lost: where, if there was room. Of the looking,
 * the parent of a child of vfork() must not see anything: not the room for the path, nor another
 * errno. The process is asked who it is only where it may look: a filter may kill for that, too.
 */
static bool tell_lost(const struct call *call, bool no_room, struct raw_lost **lost)
{
    const char *path;
    int saved_errno = errno;
    if (!may_look())
        return false;
    struct names *room =
        mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return false;
    int error = check_target(call, &path, room);
    bool refuses = error == -ENOEXEC || error == -EPERM; /* the others: there is no such program */
    bool is_away = error == 0 && !is_in_reach();
    bool is_lost = refuses || is_away || no_room;
    pid_t pid = call->child != NULL ? *call->child : getpid();
    if (is_lost)
        *lost = raw_lost_enter(log_header, (uint32_t)pid, path,
                               refuses   ? RAW_LOST_KIND
                               : is_away ? RAW_LOST_REACH
                                         : RAW_LOST_ROOM);
    munmap(room, sizeof *room);
    errno = saved_errno;
    return is_lost;
}

/* ---- running it ------------------------------------------------------------------------------ */

/* What the kernel takes by itself but not with ours in it runs as it is, and is lost. */
static int spawn(const struct call *call, char *const environment[])
{
    struct raw_lost *lost;
    int error = run_with_ours(call, environment);
    bool no_room = error == E2BIG;
    if (no_room)
        error = call->run(call, environment);
    if (error == 0)
        tell_lost(call, no_room, &lost);
    return error;
}

/* After exec() there is nobody to tell; so it is told before, and taken back when it fails. */
static int replace(const struct call *call, char *const environment[])
{
    struct raw_lost *lost;
    bool is_lost = tell_lost(call, false, &lost);
    int result = run_with_ours(call, environment);
    if (errno == E2BIG) {
        is_lost = is_lost || tell_lost(call, true, &lost);
        result = call->run(call, environment);
    }
    if (is_lost)
        raw_lost_withdraw(log_header, lost);
    return result;
}

/* Nothing is added for a recording of the first process alone, or where there is none. */
static int run(const struct call *call, char *const environment[])
{
    if (next.execve == NULL)
        find_out();
    if (raw[0] == '\0' || !(log_header->options & RAW_FOLLOW))
        return call->run(call, environment);
    return call->child != NULL ? spawn(call, environment) : replace(call, environment);
}

static int run_exec(const struct call *call, char *const environment[])
{
    return (call->searches ? next.execvpe : next.execve)(call->path, call->arguments, environment);
}

static int run_fexecve(const struct call *call, char *const environment[])
{
    return next.fexecve(call->descriptor, call->arguments, environment);
}

static int run_execveat(const struct call *call, char *const environment[])
{
    return (int)syscall(SYS_execveat, call->descriptor, call->path, call->arguments, environment,
                        call->flags);
}

static int run_spawn(const struct call *call, char *const environment[])
{
    return (call->searches ? next.posix_spawnp : next.posix_spawn)(call->child, call->path,
                                                                   call->actions, call->attributes,
                                                                   call->arguments, environment);
}

/* ---- the calls ------------------------------------------------------------------------------- */

EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    struct call call = {run_exec, path, arguments, .descriptor = AT_FDCWD};
    return run(&call, environment);
}

EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

EXPORT int execvpe(const char *name, char *const arguments[], char *const environment[])
{
    struct call call = {run_exec, name, arguments, .searches = true, .descriptor = AT_FDCWD};
    return run(&call, environment);
}

EXPORT int execvp(const char *name, char *const arguments[])
{
    return execvpe(name, arguments, environ);
}

EXPORT int fexecve(int descriptor, char *const arguments[], char *const environment[])
{
    struct call call = {run_fexecve, "", arguments, .descriptor = descriptor};
    return run(&call, environment);
}

EXPORT int execveat(int descriptor, const char *path, char *const arguments[],
                    char *const environment[], int flags)
{
    struct call call = {run_execveat, path, arguments, .descriptor = descriptor, .flags = flags};
    return run(&call, environment);
}

/* The caller need not want to know the child. */
static int run_child(struct call call, pid_t *child, char *const environment[])
{
    pid_t unasked;
    call.descriptor = AT_FDCWD;
    call.child = child != NULL ? child : &unasked;
    return run(&call, environment);
}

EXPORT int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const arguments[],
                       char *const environment[])
{
    return run_child((struct call){run_spawn, path, arguments, .actions = actions,
                                   .attributes = attributes},
                     child, environment);
}

EXPORT int posix_spawnp(pid_t *child, const char *name, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const arguments[],
                        char *const environment[])
{
    return run_child((struct call){run_spawn, name, arguments, .searches = true, .actions = actions,
                                   .attributes = attributes},
                     child, environment);
}

/* The arguments of execl() and its like, from the second on, with the NULL at their end. */
static size_t count_arguments(const char *first, va_list list)
{
    size_t count = 1;
    if (first == NULL)
        return 0;
    while (va_arg(list, char *) != NULL)
        count++;
    return count;
}

#define LIST_ARGUMENTS(list, first)              \
    va_start(list, first);                       \
    size_t count = count_arguments(first, list); \
    va_end(list);                                \
    char *arguments[count + 1];                  \
    arguments[0] = (char *)(first);              \
    va_start(list, first);                       \
    for (size_t i = 1; i <= count; i++)          \
    arguments[i] = va_arg(list, char *)

EXPORT int execl(const char *path, const char *first, ...)
{
    va_list list;
    LIST_ARGUMENTS(list, first);
    va_end(list);
    return execve(path, arguments, environ);
}

EXPORT int execlp(const char *name, const char *first, ...)
{
    va_list list;
    LIST_ARGUMENTS(list, first);
    va_end(list);
    return execvpe(name, arguments, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    va_list list;
    LIST_ARGUMENTS(list, first);
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(path, arguments, environment);
}
