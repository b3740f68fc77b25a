/*
 * What a cache's useroffset and usersize are for: copying to and from users may touch that part of an
 * object and no other, so that a length got wrong neither shows nor overwrites what lies beside.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "slab.h"

static void __attribute__((noreturn))
refuse(const struct kmem_cache *s, bool to_user, size_t offset, size_t n)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o,
            "%s: usercopy: %s attempt: cache '%s': offset %u, size %u; allowed are %u from %u\n",
            fault_subject, to_user ? "exposure" : "overwrite", s->name, offset, n,
            (size_t)s->usersize, (size_t)s->useroffset);
    out_flush(&o);
    abort();
}

void check_object_size(const void *memory, size_t n, bool to_user)
{
    const struct slab *slab = n ? slab_of(memory) : NULL;
    const struct kmem_cache *s;
    size_t at, offset;

    if (!slab)
        return;
    s = slab->slab_cache;
    at = (size_t)((const char *)memory - slab_base(slab));
    if (!slab_reaches(s, slab, at))
        fault(to_user ? "usercopy: exposure attempt: in a slab, but in no object"
                      : "usercopy: overwrite attempt: in a slab, but in no object",
              memory);
    offset = at % s->size;
    if (offset < s->useroffset || offset - s->useroffset > s->usersize ||
        n > s->usersize - (offset - s->useroffset))
        refuse(s, to_user, offset, n);
}
