/*
 * The heap as text, one object a line, words separated by blanks, the kind of the object first:
 *
 *     knobs NAME VALUE ...
 *     arena INDEX threads N system BYTES top BYTES parked BYTES
 *     fast SIZE chunks N                      size 0: chunks of any size
 *     bin INDEX chunks N bytes BYTES          1: unsorted
 *     heap ADDRESS kind brk|mapped bytes BYTES committed BYTES clean ADDRESS
 *     chunk ADDRESS size BYTES state used|cached|free|top|fence
 *     mmapped chunks N bytes BYTES
 *
 * "cached" is said of chunks in use that bear the key: those in fast bins and thread caches.
 */
#include "arena.h"
#include "bins.h"
#include "fastbin.h"
#include "heap.h"
#include "knobs.h"
#include "mmapped.h"
#include "out.h"
#include "ptmalloc.h"
#include "tcache.h"

static const char *state_of(const struct heap *h, struct chunk *c)
{
    if (c == h->arena->top)
        return "top";
    if (chunk_next(c) == (struct chunk *)h->end || chunk_size(c) < PTM_MIN_CHUNK)
        return "fence";
    if (!chunk_in_use(c))
        return "free";
    return cell_of(c)->key == ptm_key ? "cached" : "used";
}

static void dump_heap(struct out *o, const struct heap *h)
{
    out_put(o, "heap %p kind %s bytes %u committed %u clean %p\n", h, h->mapped ? "mapped" : "brk",
            (size_t)(h->end - (const char *)h), (size_t)(h->committed - (const char *)h), h->clean);
    for (struct chunk *c = (struct chunk *)h->first; (char *)c < h->end; c = chunk_next(c))
        out_put(o, "chunk %p size %u state %s\n", c, chunk_size(c), state_of(h, c));
}

static void dump_bins(struct out *o, struct arena *a)
{
    for (unsigned i = 0; i < PTM_FAST_BINS; i++) {
        size_t n = fast_count(a, i);

        if (n)
            out_put(o, "fast %u chunks %u\n", (size_t)i * PTM_ALIGN, n);
    }
    for (unsigned i = 1; i < PTM_BINS; i++) {
        struct chunk *head = bin_head(a, i);
        size_t n = 0, bytes = 0;

        for (struct chunk *c = head->fd; c != head; c = c->fd) {
            n++;
            bytes += chunk_size(c);
        }
        if (n)
            out_put(o, "bin %u chunks %u bytes %u\n", (size_t)i, n, bytes);
    }
}

void ptm_dump(int fd)
{
    struct out o = out_to_fd(fd);
    bool usable;

    tcache_mine(&usable);
    out_put(&o, "knobs tcache %s mmap_threshold %u trim_threshold %u top_pad %u fastbin_max %u\n",
            usable ? "on" : "off", ptm_knobs.mmap_threshold, ptm_knobs.trim_threshold,
            ptm_knobs.top_pad, ptm_knobs.fastbin_max);
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        lock_take(&a->lock);
        out_put(&o, "arena %u threads %u system %u top %u parked %u\n", (size_t)a->index,
                (size_t)a->attached, a->system_bytes, top_size(a), (size_t)a->parked);
        dump_bins(&o, a);
        for (struct heap *h = a->heap; h; h = h->older)
            dump_heap(&o, h);
        lock_drop(&a->lock);
    }
    out_put(&o, "mmapped chunks %u bytes %u\n", ptm_mmapped.chunks, ptm_mmapped.bytes);
    out_flush(&o);
}
