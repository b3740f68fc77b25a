/*
 * What a cache's useroffset and usersize are for: copying to and from users may touch that part of an
 * object and no other, so that a length got wrong neither shows nor overwrites what lies beside.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "slab.h"

static const char *attempt(bool to_user)
{
    return to_user ? "exposure" : "overwrite";
}

static void __attribute__((noreturn))
refuse(const struct kmem_cache *s, bool to_user, size_t offset, size_t n)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o,
            "%s: usercopy: %s attempt: cache '%s': offset %u, size %u; allowed are %u from %u\n",
            fault_subject, attempt(to_user), s->name, offset, n, (size_t)s->usersize,
            (size_t)s->useroffset);
    out_flush(&o);
    abort();
}

static _Noreturn void refuse_address(bool to_user, const char *why, const void *memory, size_t n)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o, "%s: usercopy: %s attempt: %s: '%p', size %u\n", fault_subject, attempt(to_user),
            why, memory, n);
    out_flush(&o);
    abort();
}

/* What can be said of memory that is in no slab. */
static void check_address(const void *memory, size_t n, bool to_user)
{
    if (ZERO_OR_NULL_PTR(memory))
        refuse_address(to_user, "no memory, but NULL or ZERO_SIZE_PTR", memory, n);
    if ((uintptr_t)memory + (n - 1) < (uintptr_t)memory)
        refuse_address(to_user, "it wraps around the end of all addresses", memory, n);
}

static void check_in_slab(const struct slab *slab, const void *memory, size_t n, bool to_user)
{
    const struct kmem_cache *s = slab->slab_cache;
    size_t at = (size_t)((const char *)memory - slab_base(slab)), offset;

    if (!slab_reaches(s, slab, at))
        refuse_address(to_user, "in a slab, but in no object", memory, n);
    offset = at % s->size;
    if (offset < s->useroffset || offset - s->useroffset > s->usersize ||
        n > s->usersize - (offset - s->useroffset))
        refuse(s, to_user, offset, n);
}

void check_object_size(const void *memory, size_t n, bool to_user)
{
    const struct slab *slab = slab_of(memory);

    if (n && slab)
        check_in_slab(slab, memory, n, to_user);
    else if (n)
        check_address(memory, n, to_user);
}
