/*
 * A program that confines itself, by seccomp or by shutting itself off from the clock, may be killed for a system
 * call, or a reading, of the recorder's. So the recorder sees it coming. Under a filter, whatever that allows, it makes
 * no more system calls: it goes on in what disk space is reserved, and leaves out children of fork(). Without a clock
 * the recording ends.
 *
 * What asks the kernel past the C library is not seen; nor is a filter that was put on before exec().
 */
#include "workloads/trace/recorder_calls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define EXPORT __attribute__((visibility("default")))

enum confinement { IS_NONE, IS_FILTER, IS_SHUT, IS_STRICT };

/* The C library's have a variable number of arguments, this many at most. */
typedef int prctl_function(int option, long a, long b, long c, long d);
typedef long syscall_function(long number, long a, long b, long c, long d, long e, long f);

EXPORT prctl_function recorder_prctl __asm__("prctl");
EXPORT syscall_function recorder_syscall __asm__("syscall");

/* The next functions in the program's search order. As long as they are not known: what finds them. */
HIDDEN prctl_function recorder_prctl_slowly;
HIDDEN syscall_function recorder_syscall_slowly;
static prctl_function *next_prctl = recorder_prctl_slowly;
HIDDEN syscall_function *recorder_next_syscall = recorder_syscall_slowly;

void confine_find(void)
{
    next_prctl = calls_find("prctl");
    recorder_next_syscall = calls_find("syscall");
}

/* Strict mode shuts off from the clock, too. */
static enum confinement prctl_confines(long option, long value)
{
    if (option == PR_SET_SECCOMP)
        return value == SECCOMP_MODE_STRICT ? IS_STRICT : IS_FILTER;
    return option == PR_SET_TSC && value == PR_TSC_SIGSEGV ? IS_SHUT : IS_NONE;
}

static enum confinement seccomp_confines(long operation)
{
    switch (operation) {
    case SECCOMP_SET_MODE_STRICT: return IS_STRICT;
    case SECCOMP_SET_MODE_FILTER: return IS_FILTER;
    default: return IS_NONE;
    }
}

static enum confinement syscall_confines(long number, long a, long b)
{
    switch (number) {
    case SYS_prctl: return prctl_confines((int)a, b);
    case SYS_seccomp: return seccomp_confines(a);
    default: return IS_NONE;
    }
}

/* Strict mode is refused to who is under a filter, and then nothing is shut off; who is may not ask whether. */
static bool will_be_refused(enum confinement confinement)
{
    if (confinement != IS_STRICT)
        return false;
    return log_confined > 0 ? log_is_alone : next_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
}

/* True: a filter, which log_confined counts. */
static bool prepare(enum confinement confinement)
{
    if (confinement >= IS_SHUT && !will_be_refused(confinement))
        log_shut();
    return confinement == IS_FILTER && log_confine();
}

/* Programs try filters that are none, to see whether there is seccomp. */
static long settle(bool counted, bool good, long result)
{
    if (counted && !good)
        log_confined--;
    return result;
}

/* A filter for all threads fails with the number of one that stands in the way, unless a descriptor is asked for. */
static bool is_good(long number, long flags, long result)
{
    const long both = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (number == SYS_seccomp && (flags & both) == SECCOMP_FILTER_FLAG_TSYNC)
        return result == 0;
    return result != -1;
}

/* The slow way: the program confines itself, or nothing has been found yet. */
int recorder_prctl_slowly(int option, long a, long b, long c, long d)
{
    if (next_prctl == recorder_prctl_slowly)
        confine_find();
    bool counted = prepare(prctl_confines(option, a));
    int result = next_prctl(option, a, b, c, d);
    return (int)settle(counted, result != -1, result);
}

__attribute__((used)) long recorder_syscall_slowly(long number, long a, long b, long c, long d,
                                                   long e, long f)
{
    if (recorder_next_syscall == recorder_syscall_slowly)
        confine_find();
    bool counted = prepare(syscall_confines(number, a, b));
    long result = recorder_next_syscall(number, a, b, c, d, e, f);
    return settle(counted, is_good(number, b, result), result);
}

int recorder_prctl(int option, long a, long b, long c, long d)
{
    return prctl_confines(option, a) != IS_NONE ? recorder_prctl_slowly(option, a, b, c, d)
                                                : next_prctl(option, a, b, c, d);
}

/*
 * All others go on as if nothing were here: where the last argument stands on the stack it may be no argument, but a
 * variable of the caller's that another thread waits for, and must not even be copied onto itself.
 */
#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".type syscall, @function\n"
        "syscall:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "cmpq $157, %rdi\n" /* prctl */
        "je recorder_syscall_slowly\n"
        "cmpq $317, %rdi\n" /* seccomp */
        "je recorder_syscall_slowly\n"
        "movq recorder_next_syscall(%rip), %r11\n"
        "jmpq *%r11\n"
        ".cfi_endproc\n"
        ".size syscall, . - syscall\n"
        ".globl syscall\n"
        ".popsection\n");
_Static_assert(SYS_prctl == 157 && SYS_seccomp == 317, "as above");
#else
long recorder_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    bool is_ours = number == SYS_prctl || number == SYS_seccomp;
    return (is_ours ? recorder_syscall_slowly : recorder_next_syscall)(number, a, b, c, d, e, f);
}
#endif
