/*
 * Scenes of the program that the recording tests record: each makes allocator calls whose numbers
 * the tests know. It prints nothing, because printing allocates. Sizes are odd numbers above
 * 100,000 where a test looks for them.
 */
#ifndef SUBJECT_SCENE_H
#define SUBJECT_SCENE_H

#include <stddef.h>
#include <sys/types.h>

struct scene {
    const char *name;
    int (*run)(void); /* its result is the program's exit status; 0: all went as it should */
};

/* Each ends with a scene without a name. */
extern const struct scene call_scenes[], thread_scenes[], join_scenes[], signal_scenes[],
    fork_scenes[], daemon_scenes[], exec_scenes[], environment_scenes[], room_scenes[],
    surroundings_scenes[], confined_scenes[], cancelled_scenes[], end_scenes[];

enum { ROUNDS = 10000 };

/* A block that the compiler cannot do without. */
void *grab(size_t size);

/* ROUNDS pairs of malloc() and free(): 0. */
int pairs(void);

/* The same for threads, any number at a time: `result`. */
void *rounds(void *result);

/* Pairs until something ends the process from outside. */
_Noreturn int endless(void);

/* Waits for a child. True: it did not begin, or ended otherwise than with status 0. */
int failed(pid_t child);

/* An array of so many equal variables, made without the allocator. */
char **many(size_t count, char *each);

#endif
