/* Handlers that allocate, as they should not but do: at any moment, and at every instruction. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "scene.h"

static void handler(int signal)
{
    (void)signal;
    free(grab(100001));
}

/* Signals whose handler allocates, as handlers should not but do. */
static int signals(void)
{
    signal(SIGUSR1, handler);
    for (int i = 0; i < 1000; i++) {
        free(grab((size_t)i % 500));
        raise(SIGUSR1);
    }
    return 0;
}

/*
 * A handler that allocates, at every single instruction of the recorder in one call: the trap flag
 * brings a signal after each, and with each thread the handler waits for one step more. At a step
 * inside the recorder the allocator behind it is not at work, so that it may be called.
 */
#if defined(__x86_64__)
enum { STEPPED_AFTER = 600 };

static uintptr_t recorder_begin, recorder_bytes; /* its code */
static int stepped_before, step_wanted;
static volatile int step; /* of one thread at a time */

static int find_recorder(struct dl_phdr_info *object, size_t size, void *inside)
{
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || (uintptr_t)inside - begin >= part->p_memsz)
            continue;
        recorder_begin = begin;
        recorder_bytes = part->p_memsz;
        return strstr(object->dlpi_name, "libhm_record") != NULL;
    }
    return 0;
}

static void stepped(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    uintptr_t at = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (at - recorder_begin < recorder_bytes && step++ == step_wanted)
        grab(100003);
}

static void *call_in_steps(void *argument)
{
    for (int i = 0; i < stepped_before; i++)
        grab(1);
    step = 0;
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    malloc(100001);
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
    for (int i = 0; i < STEPPED_AFTER; i++)
        grab(2);
    return argument;
}

/* In the last thread the call has no such step any more. */
static int interrupted_after(int calls)
{
    struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};
    if (dl_iterate_phdr(find_recorder, dlsym(RTLD_DEFAULT, "malloc")) != 1 ||
        sigaction(SIGTRAP, &action, NULL) != 0)
        return 1;
    stepped_before = calls;
    for (step_wanted = 0; step_wanted == 0 || step >= step_wanted; step_wanted++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, call_in_steps, NULL) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
#else
static int interrupted_after(int calls)
{
    (void)calls;
    return 98;
}
#endif

/* The first call takes the first segment, of 248 records, the first of which is no call. */
static int interrupted_at_first(void)
{
    return interrupted_after(0);
}

static int interrupted_at_end(void)
{
    return interrupted_after(247);
}

const struct scene signal_scenes[] = {
    {"signals", signals},
    {"interrupted_at_first", interrupted_at_first},
    {"interrupted_at_end", interrupted_at_end},
    {NULL, NULL},
};
