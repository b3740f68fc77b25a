#include "mmapped.h"

#include "fault.h"
#include "knobs.h"
#include "os.h"

struct mmapped_count ptm_mmapped;

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

bool mmapped_wanted(size_t size)
{
    return size >= PTM_LOAD(ptm_knobs.mmap_threshold) &&
           PTM_LOAD(ptm_mmapped.chunks) < PTM_LOAD(ptm_knobs.mmap_max);
}

struct chunk *mmapped_alloc(size_t size, size_t align)
{
    /* A mapped chunk has no next chunk to borrow a word from. */
    size_t need = size + PTM_WORD, slack = align > PTM_ALIGN ? align : 0, total;
    char *base, *memory;
    struct chunk *c;

    if (need > PTRDIFF_MAX || slack > PTRDIFF_MAX - need - ptm_page)
        return NULL;
    total = page_up(need + slack);
    base = ptm_os.map(total);
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
    c->prev_size = (size_t)((char *)c - base);
    chunk_set_head(c, (total - c->prev_size) | CHUNK_M);
    count_mapping(1, (intptr_t)total);
    return c;
}

/* The mapping of a chunk; aborts if there cannot be one. */
static char *mapping_of(struct chunk *c, size_t *total, const char *what)
{
    uintptr_t base = (uintptr_t)c - c->prev_size;

    *total = chunk_size(c) + c->prev_size;
    if (PTM_UNLIKELY((base | *total) & (ptm_page - 1) || *total == 0 || !is_aligned(c)))
        fault(what, chunk_memory(c));
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

void mmapped_free(struct chunk *c)
{
    size_t total;
    char *base = mapping_of(c, &total, "free(): invalid pointer of a mapped chunk");

    adapt_thresholds(chunk_size(c));
    count_mapping(-1, -(intptr_t)total);
    ptm_os.unmap(base, total);
}

struct chunk *mmapped_resize(struct chunk *c, size_t size)
{
    size_t total, offset = c->prev_size, wanted = page_up(size + PTM_WORD + offset);
    char *base = mapping_of(c, &total, "realloc(): invalid pointer of a mapped chunk");

    if (wanted == total)
        return c;
    base = ptm_os.remap(base, total, wanted);
    if (!base)
        return NULL;
    c = chunk_at(base, offset);
    chunk_set_head(c, (wanted - offset) | CHUNK_M);
    count_mapping(0, (intptr_t)(wanted - total));
    return c;
}
