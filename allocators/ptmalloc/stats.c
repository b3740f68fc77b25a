#include "stats.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "bins.h"
#include "fastbin.h"
#include "heap.h"
#include "init.h"
#include "knobs.h"
#include "mmapped.h"
#include "out.h"
#include "ptmalloc.h"

static void tally_add(struct tally *t, size_t chunks, size_t bytes)
{
    t->chunks += chunks;
    t->bytes += bytes;
}

static void count_fast(struct arena *a, struct arena_stats *s)
{
    for (unsigned i = 1; i < PTM_FAST_BINS; i++) {
        size_t n = fast_count(a, i);

        tally_add(&s->fast_bin[i], n, n * i * PTM_ALIGN);
        tally_add(&s->fast, n, n * i * PTM_ALIGN);
    }
    for (struct cell *run = (struct cell *)__atomic_load_n(&a->fast[0], __ATOMIC_ACQUIRE); run;
         run = run_next(run))
        tally_add(&s->fast, 1, chunk_size(chunk_of(run)));
}

static void count_bin(struct arena *a, unsigned i, struct arena_stats *s)
{
    struct chunk *head = bin_head(a, i);

    for (struct chunk *c = head->fd; c != head; c = c->fd) {
        size_t size = chunk_size(c);

        tally_add(&s->bin[i], 1, size);
        tally_add(i == PTM_UNSORTED ? &s->unsorted : &s->sorted, 1, size);
        if (s->smallest[i] == 0 || size < s->smallest[i])
            s->smallest[i] = size;
        if (size > s->largest[i])
            s->largest[i] = size;
    }
}

void stats_of_arena(struct arena *a, struct arena_stats *s)
{
    memset(s, 0, sizeof *s);
    lock_take(&a->lock);
    count_fast(a, s);
    for (unsigned i = 1; i < PTM_BINS; i++)
        count_bin(a, i, s);
    for (struct heap *h = a->heap; h; h = h->older) {
        s->heaps++;
        s->committed_bytes += (size_t)(h->committed - (char *)h);
    }
    s->top_bytes = top_size(a);
    s->system_bytes = a->system_bytes;
    s->system_bytes_max = a->system_bytes_max;
    lock_drop(&a->lock);
}

struct mallinfo2 ptm_mallinfo2(void)
{
    struct mallinfo2 m = {0};
    struct arena_stats s;

    init_process();
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        stats_of_arena(a, &s);
        m.arena += s.system_bytes;
        m.ordblks += s.unsorted.chunks + s.sorted.chunks + 1;
        m.smblks += s.fast.chunks;
        m.fsmblks += s.fast.bytes;
        m.fordblks += stats_free_bytes(&s);
        if (a == &ptm_main_arena)
            m.keepcost = s.top_bytes;
    }
    m.uordblks = m.arena - m.fordblks;
    m.hblks = PTM_LOAD(ptm_mmapped.chunks);
    m.hblkhd = PTM_LOAD(ptm_mmapped.bytes);
    return m;
}

struct mallinfo ptm_mallinfo(void)
{
    struct mallinfo2 m = ptm_mallinfo2();

    /* Too narrow for a heap of today, which is why mallinfo2 exists. */
    return (struct mallinfo){
        .arena = (int)m.arena,
        .ordblks = (int)m.ordblks,
        .smblks = (int)m.smblks,
        .hblks = (int)m.hblks,
        .hblkhd = (int)m.hblkhd,
        .fsmblks = (int)m.fsmblks,
        .uordblks = (int)m.uordblks,
        .fordblks = (int)m.fordblks,
        .keepcost = (int)m.keepcost,
    };
}

void ptm_malloc_stats(void)
{
    struct out o = out_to_fd(STDERR_FILENO);
    size_t system = PTM_LOAD(ptm_mmapped.bytes), used = PTM_LOAD(ptm_mmapped.bytes);
    struct arena_stats s;

    init_process();
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        stats_of_arena(a, &s);
        out_put(&o, "Arena %u:\nsystem bytes     = %U\nin use bytes     = %U\n", (size_t)a->index,
                s.system_bytes, s.system_bytes - stats_free_bytes(&s));
        system += s.system_bytes;
        used += s.system_bytes - stats_free_bytes(&s);
    }
    out_put(&o, "Total (incl. mmap):\nsystem bytes     = %U\nin use bytes     = %U\n", system,
            used);
    out_put(&o, "max mmap regions = %U\nmax mmap bytes   = %U\n", PTM_LOAD(ptm_mmapped.chunks_max),
            PTM_LOAD(ptm_mmapped.bytes_max));
    out_flush(&o);
}

static void put_sizes(struct out *o, const struct arena_stats *s)
{
    out_put(o, "<sizes>\n");
    for (unsigned i = 1; i < PTM_FAST_BINS; i++)
        if (s->fast_bin[i].chunks)
            out_put(o, "  <size from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n",
                    (size_t)(i - 1) * PTM_ALIGN + 1, (size_t)i * PTM_ALIGN, s->fast_bin[i].bytes,
                    s->fast_bin[i].chunks);
    for (unsigned i = 2; i < PTM_BINS; i++)
        if (s->bin[i].chunks)
            out_put(o, "  <size from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n",
                    s->smallest[i], s->largest[i], s->bin[i].bytes, s->bin[i].chunks);
    if (s->unsorted.chunks)
        out_put(o, "  <unsorted from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n",
                s->smallest[PTM_UNSORTED], s->largest[PTM_UNSORTED], s->unsorted.bytes,
                s->unsorted.chunks);
    out_put(o, "</sizes>\n");
}

static void put_totals(struct out *o, struct tally fast, struct tally rest,
                       const struct mmapped_count *m)
{
    out_put(o, "<total type=\"fast\" count=\"%u\" size=\"%u\"/>\n", fast.chunks, fast.bytes);
    out_put(o, "<total type=\"rest\" count=\"%u\" size=\"%u\"/>\n", rest.chunks, rest.bytes);
    if (m)
        out_put(o, "<total type=\"mmap\" count=\"%u\" size=\"%u\"/>\n", m->chunks, m->bytes);
}

static void put_system(struct out *o, size_t now, size_t max, size_t committed, size_t heaps)
{
    out_put(o, "<system type=\"current\" size=\"%u\"/>\n<system type=\"max\" size=\"%u\"/>\n", now,
            max);
    out_put(o, "<aspace type=\"total\" size=\"%u\"/>\n<aspace type=\"mprotect\" size=\"%u\"/>\n",
            committed, now);
    if (heaps)
        out_put(o, "<aspace type=\"subheaps\" size=\"%u\"/>\n", heaps);
}

static struct tally rest_of(const struct arena_stats *s)
{
    struct tally rest = s->unsorted;

    tally_add(&rest, s->sorted.chunks, s->sorted.bytes);
    tally_add(&rest, s->top_bytes ? 1 : 0, s->top_bytes);
    return rest;
}

int ptm_malloc_info(int options, FILE *stream)
{
    struct tally fast = {0}, rest = {0};
    size_t now = 0, max = 0, committed = 0;
    struct out o = out_to_stream(stream);
    struct arena_stats s;

    if (options != 0)
        return EINVAL;
    init_process();
    out_put(&o, "<malloc version=\"1\">\n");
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        struct tally arena_rest;

        stats_of_arena(a, &s);
        arena_rest = rest_of(&s);
        out_put(&o, "<heap nr=\"%u\">\n", (size_t)a->index);
        put_sizes(&o, &s);
        put_totals(&o, s.fast, arena_rest, NULL);
        put_system(&o, s.system_bytes, s.system_bytes_max, s.committed_bytes,
                   a == &ptm_main_arena ? 0 : s.heaps);
        out_put(&o, "</heap>\n");
        tally_add(&fast, s.fast.chunks, s.fast.bytes);
        tally_add(&rest, arena_rest.chunks, arena_rest.bytes);
        now += s.system_bytes;
        max += s.system_bytes_max;
        committed += s.committed_bytes;
    }
    put_totals(&o, fast, rest, &ptm_mmapped);
    put_system(&o, now, max, committed, 0);
    out_put(&o, "</malloc>\n");
    out_flush(&o);
    return 0;
}

int ptm_mallopt(int parameter, int value)
{
    init_process();
    /* As in the original. It also empties bins whose bound is about to change. */
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        lock_take(&a->lock);
        fast_consolidate(a, 1);
        lock_drop(&a->lock);
    }
    return knobs_mallopt(parameter, value);
}
