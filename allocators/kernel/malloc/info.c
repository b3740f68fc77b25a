/* Statistics and trimming in glibc's words. */
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "classes.h"
#include "mapped.h"
#include "out.h"
#include "slub_malloc.h"

/* Objects that were never touched are in a slab's free ones, as the kernel has it. */
struct mallinfo2 slub_mallinfo2(void)
{
    struct mallinfo2 m = {0};
    struct page_stats pages;

    slub_start();
    count_free_objects(&m.ordblks, &m.fordblks);
    kmem_pages_stats(&pages);
    m.arena = pages.used_bytes + pages.present_bytes;
    m.fordblks += pages.present_bytes + pages.cached_bytes;
    if (m.fordblks > m.arena)
        m.fordblks = m.arena;
    m.uordblks = m.arena - m.fordblks;
    m.keepcost = pages.present_bytes;
    m.hblks = mapped_count.count;
    m.hblkhd = mapped_count.bytes;
    return m;
}

struct mallinfo slub_mallinfo(void)
{
    struct mallinfo2 m = slub_mallinfo2();

    /* Too narrow for a heap of today, which is why mallinfo2 exists. */
    return (struct mallinfo){
        .arena = (int)m.arena,
        .ordblks = (int)m.ordblks,
        .hblks = (int)m.hblks,
        .hblkhd = (int)m.hblkhd,
        .uordblks = (int)m.uordblks,
        .fordblks = (int)m.fordblks,
        .keepcost = (int)m.keepcost,
    };
}

void slub_malloc_stats(void)
{
    struct out o = out_to_fd(STDERR_FILENO);
    struct mallinfo2 m = slub_mallinfo2();

    out_put(&o, "Arena 0:\nsystem bytes     = %U\nin use bytes     = %U\n", m.arena, m.uordblks);
    out_put(&o, "Total (incl. mmap):\nsystem bytes     = %U\nin use bytes     = %U\n",
            m.arena + m.hblkhd, m.uordblks + m.hblkhd);
    out_put(&o, "max mmap regions = %U\nmax mmap bytes   = %U\n", mapped_count.count_max,
            mapped_count.bytes_max);
    out_flush(&o);
    kmem_slabinfo(STDERR_FILENO);
}

int slub_malloc_info(int options, FILE *stream)
{
    struct out o = out_to_stream(stream);
    struct mallinfo2 m;

    if (options != 0)
        return EINVAL;
    m = slub_mallinfo2();
    out_put(&o, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (struct cache_figures f = {0}; next_cache(&f);)
        if (f.free)
            out_put(&o, "  <size from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n", f.size,
                    f.size, f.free * f.size, f.free);
    out_put(&o, "</sizes>\n");
    for (unsigned i = 0; i < 2; i++) { /* the only heap, and the sum of all */
        out_put(&o, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
        out_put(&o, "<total type=\"rest\" count=\"%u\" size=\"%u\"/>\n", m.ordblks, m.fordblks);
        if (i == 1)
            out_put(&o, "<total type=\"mmap\" count=\"%u\" size=\"%u\"/>\n", m.hblks, m.hblkhd);
        out_put(&o, "<system type=\"current\" size=\"%u\"/>\n", m.arena);
        if (i == 0)
            out_put(&o, "</heap>\n");
    }
    out_put(&o, "</malloc>\n");
    out_flush(&o);
    return 0;
}

int slub_malloc_trim(size_t pad)
{
    struct page_stats before, after;

    slub_start();
    slub_shrink_all();
    kmem_pages_stats(&before);
    kmem_pages_release(pad);
    kmem_pages_stats(&after);
    return after.released_bytes > before.released_bytes;
}

const char *slub_allocator_flags(void)
{
    slub_start();
    return percpu_mode == PERCPU_THREAD ? "percpu=thread" : "";
}
