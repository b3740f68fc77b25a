#include "debug.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "slab.h"

enum { RED_ZONE = 0xbb, POISON = 0x6b, POISON_END = 0xa5 };

/* Xored with the object's address, so that a copy of an object elsewhere is not taken for one. */
#define IS_FREE   ((uintptr_t)0xf4eef4eef4eef4eeu)
#define IS_IN_USE ((uintptr_t)0x115e115e115e115eu)

static uintptr_t *state_of(const struct kmem_cache *s, const void *object)
{
    return (uintptr_t *)((uintptr_t)object + s->offset + sizeof(void *));
}

static void __attribute__((noreturn))
complain(const struct kmem_cache *s, const char *what, const void *object)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o, "%s: cache '%s': %s: '%p'\n", fault_subject, s->name, what, object);
    out_flush(&o);
    abort();
}

/* An object with a constructor keeps its contents while it is free. */
static bool poisoned(const struct kmem_cache *s)
{
    return !s->user_ctor;
}

static void poison(const struct kmem_cache *s, void *object)
{
    memset(object, POISON, s->object_size - 1);
    ((unsigned char *)object)[s->object_size - 1] = POISON_END;
}

/* The first byte, and each the same as the one before it: the C library compares many at a time. */
static bool are_all(const unsigned char *byte, size_t count, unsigned char value)
{
    return count == 0 || (byte[0] == value && memcmp(byte, byte + 1, count - 1) == 0);
}

static bool is_poisoned(const struct kmem_cache *s, const void *object)
{
    const unsigned char *byte = object;

    return are_all(byte, s->object_size - 1, POISON) && byte[s->object_size - 1] == POISON_END;
}

bool debug_is_whole(const struct kmem_cache *s, const void *object)
{
    return are_all((const unsigned char *)object + s->object_size, s->offset - s->object_size,
                   RED_ZONE);
}

/* A constructor is not told whose it is, but the object lies in a slab that says so. */
static void construct(void *object)
{
    const struct kmem_cache *s = slab_of(object)->slab_cache;

    if (s->user_ctor)
        s->user_ctor(object);
    else
        poison(s, object);
    memset((char *)object + s->object_size, RED_ZONE, s->offset - s->object_size);
    *state_of(s, object) = IS_FREE ^ (uintptr_t)object;
}

unsigned debug_describe(struct kmem_cache *s)
{
    s->user_ctor = s->ctor;
    s->ctor = construct;
    return s->inuse + (unsigned)sizeof(void *);
}

void *debug_alloc(const struct kmem_cache *s, void *object)
{
    if (!object)
        return NULL;
    if (!debug_is_whole(s, object) || *state_of(s, object) != (IS_FREE ^ (uintptr_t)object))
        complain(s, "written past the end of an object that was free", object);
    if (poisoned(s) && !is_poisoned(s, object))
        complain(s, "written to after it was freed", object);
    *state_of(s, object) = IS_IN_USE ^ (uintptr_t)object;
    return object;
}

void debug_free(const struct kmem_cache *s, void *object)
{
    uintptr_t state = *state_of(s, object) ^ (uintptr_t)object;

    if (state == IS_FREE)
        complain(s, "object was freed before", object);
    if (state != IS_IN_USE || !debug_is_whole(s, object))
        complain(s, "written past the end of an object", object);
    *state_of(s, object) = IS_FREE ^ (uintptr_t)object;
    if (poisoned(s))
        poison(s, object);
}
