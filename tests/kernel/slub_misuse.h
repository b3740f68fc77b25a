/* Faults of programs, each as a function that commits it in a child, and how that ends. */
#ifndef SLUB_MISUSE_H
#define SLUB_MISUSE_H

#include "support.h"

#include <signal.h>

struct misuse {
    const char *name;
    void (*run)(void);
    int signal;          /* that ends the child; 0: it ends by itself, with status 0 */
    const char *message; /* in what the child says, which begins with "slub: " */
};

/* The first three fields, as a function is named after its fault: it has to end in abort(), */
#define FAULT(function) #function, function, SIGABRT
/* or to go on. */
#define FINE(function) #function, function, 0

/* Each ends in a row without a name. */
extern const struct misuse misuse_pointers[], misuse_caches[], misuse_debug[], misuse_usercopy[],
    misuse_none[];

/* Rows for test_the_wrong_one_is_named(): the message is all that is said before the pointer. */
extern const struct misuse misuse_named[];

/* Tests with what ending_of() returns; `*state` is a row of misuse_named, or nothing. */
void test_the_wrong_one_is_named(void **state);
void test_destroy_names_the_objects(void **state);
void test_destroy_names_sixteen(void **state);
void test_debug_sees_each_byte(void **state);
void test_debug_looks_fast(void **state);

/* Ends a child with "slub: went on", or where the call returned NULL with status 3. */
void went_on(const void *got);

extern char *volatile hidden; /* from the compiler */

#endif
