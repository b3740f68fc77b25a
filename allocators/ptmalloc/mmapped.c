#include "mmapped.h"

#include "fastbin.h"
#include "fault.h"
#include "knobs.h"
#include "os.h"

struct mmapped_count ptm_mmapped;

/* First pages of the mappings that were freed last; 0 where there is none. */
#define GRAVES 4
static uintptr_t grave[GRAVES];
static unsigned graves_dug;

/*
 * The distance from the start of the mapping is mixed with the address and the key of the process:
 * what an M bit set by an overflow finds there does not lead to a whole page.
 */
static void set_offset(struct chunk *c, size_t offset)
{
    c->prev_size = offset ^ (uintptr_t)c ^ ptm_key;
}

static size_t offset_of(const struct chunk *c)
{
    return c->prev_size ^ (uintptr_t)c ^ ptm_key;
}

/* Stands in prev_size of a freed mapping whose first page is still there. No offset looks so. */
static uintptr_t tombstone(const struct chunk *c)
{
    return ~((uintptr_t)c ^ ptm_key);
}

static size_t count_add(size_t *count, intptr_t by)
{
    return __atomic_add_fetch(count, (size_t)by, __ATOMIC_RELAXED);
}

static void count_max(size_t *max, size_t now)
{
    size_t seen = __atomic_load_n(max, __ATOMIC_RELAXED);

    while (seen < now &&
           !__atomic_compare_exchange_n(max, &seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void count_mapping(intptr_t chunks, intptr_t bytes)
{
    count_max(&ptm_mmapped.chunks_max, count_add(&ptm_mmapped.chunks, chunks));
    count_max(&ptm_mmapped.bytes_max, count_add(&ptm_mmapped.bytes, bytes));
}

void mmapped_forget(void)
{
    for (unsigned i = 0; i < GRAVES; i++) {
        uintptr_t old = __atomic_exchange_n(&grave[i], 0, __ATOMIC_ACQ_REL);

        if (old)
            ptm_os.unmap((void *)old, ptm_page);
    }
}

bool mmapped_wanted(size_t size)
{
    return size >= PTM_LOAD(ptm_knobs.mmap_threshold) &&
           PTM_LOAD(ptm_mmapped.chunks) < PTM_LOAD(ptm_knobs.mmap_max);
}

struct chunk *mmapped_alloc(size_t size, size_t align)
{
    /* A mapped chunk has no next chunk to borrow a word from. */
    size_t need = size + PTM_WORD, slack = align > PTM_ALIGN ? align : 0, total, offset;
    char *base, *memory;
    struct chunk *c;

    if (need > PTRDIFF_MAX || slack > PTRDIFF_MAX - need - ptm_page)
        return NULL;
    total = page_up(need + slack);
    base = ptm_os.map(total);
    if (!base) {
        mmapped_forget();
        base = ptm_os.map(total);
    }
    if (!base)
        return NULL;
    memory = base + PTM_CHUNK_HEADER;
    if (slack) {
        char *first, *end;

        memory = (char *)(((uintptr_t)memory + align - 1) & ~(align - 1));
        first = (char *)page_down((uintptr_t)memory - PTM_CHUNK_HEADER);
        end = (char *)page_up((uintptr_t)memory - PTM_CHUNK_HEADER + need);
        if (first > base && ptm_os.unmap(base, (size_t)(first - base))) {
            total -= (size_t)(first - base);
            base = first;
        }
        if (end < base + total && ptm_os.unmap(end, (size_t)(base + total - end)))
            total = (size_t)(end - base);
    }
    c = chunk_of(memory);
    offset = (size_t)((char *)c - base);
    set_offset(c, offset);
    chunk_set_head(c, (total - offset) | CHUNK_M);
    count_mapping(1, (intptr_t)total);
    return c;
}

/* The mapping of a chunk; aborts if there cannot be one (`bad`), or is none any more (`freed`). */
static char *mapping_of(struct chunk *c, size_t *total, const char *bad, const char *freed)
{
    size_t offset = offset_of(c);
    uintptr_t base = (uintptr_t)c - offset;

    if (PTM_UNLIKELY(c->prev_size == tombstone(c)))
        fault(freed, chunk_memory(c));
    *total = chunk_size(c) + offset;
    if (PTM_UNLIKELY((base | *total) & (ptm_page - 1) || *total == 0 || !is_aligned(c) ||
                     offset > (uintptr_t)c))
        fault(bad, chunk_memory(c));
    return (char *)base;
}

/*
 * A program that frees a mapping will ask for another one of its size: from now on such sizes come
 * from the heap, and the heap keeps enough not to give the memory back each time.
 */
static void adapt_thresholds(size_t size)
{
    if (ptm_knobs.fixed || size <= PTM_LOAD(ptm_knobs.mmap_threshold) ||
        size > PTM_MMAP_THRESHOLD_MAX)
        return;
    PTM_STORE(ptm_knobs.mmap_threshold, size);
    PTM_STORE(ptm_knobs.trim_threshold, 2 * size);
}

/*
 * Unmaps all but the first page, which stays for a while with the chunk's header in it, so that
 * freeing the mapping again is named and not a wild read.
 */
static bool bury(struct chunk *c, char *base, size_t total)
{
    unsigned at = __atomic_fetch_add(&graves_dug, 1, __ATOMIC_RELAXED) % GRAVES;
    uintptr_t old;

    if (page_down((uintptr_t)c) != (uintptr_t)base ||
        (total > ptm_page && !ptm_os.unmap(base + ptm_page, total - ptm_page)))
        return false;
    c->prev_size = tombstone(c);
    old = __atomic_exchange_n(&grave[at], (uintptr_t)base, __ATOMIC_ACQ_REL);
    if (old)
        ptm_os.unmap((void *)old, ptm_page);
    return true;
}

void mmapped_free(struct chunk *c)
{
    size_t total;
    char *base = mapping_of(c, &total, "free(): invalid pointer of a mapped chunk",
                            "free(): double free of a mapped chunk");

    adapt_thresholds(chunk_size(c));
    count_mapping(-1, -(intptr_t)total);
    if (!bury(c, base, total))
        ptm_os.unmap(base, total);
}

struct chunk *mmapped_resize(struct chunk *c, size_t size)
{
    size_t total, offset, wanted;
    char *base = mapping_of(c, &total, "realloc(): invalid pointer of a mapped chunk",
                            "realloc(): the memory is free");

    offset = (size_t)((char *)c - base);
    wanted = page_up(size + PTM_WORD + offset);
    if (wanted == total)
        return c;
    base = ptm_os.remap(base, total, wanted);
    if (!base)
        return NULL;
    c = chunk_at(base, offset);
    set_offset(c, offset);
    chunk_set_head(c, (wanted - offset) | CHUNK_M);
    count_mapping(0, (intptr_t)(wanted - total));
    return c;
}
