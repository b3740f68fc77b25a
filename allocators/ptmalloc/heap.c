#include "heap.h"

#include "bins.h"
#include "fastbin.h"
#include "fault.h"
#include "knobs.h"
#include "os.h"

struct arena ptm_main_arena;
uint64_t ptm_heap_places[PTM_HEAP_PLACES / 64];

char *ptm_brk_first, *ptm_brk_end;

void heap_bad(const struct chunk *c)
{
    fault("invalid arena of a chunk", chunk_memory((struct chunk *)c));
}

uintptr_t heap_seal(const struct heap *h)
{
    return (uintptr_t)h ^ ptm_key;
}

static void count_system(struct arena *a, intptr_t bytes)
{
    PTM_STORE(a->system_bytes, a->system_bytes + (size_t)bytes);
    if (a->system_bytes > a->system_bytes_max)
        a->system_bytes_max = a->system_bytes;
}

static void place_set(const struct heap *h)
{
    size_t place = (uintptr_t)h / PTM_HEAP_BYTES;

    __atomic_or_fetch(&ptm_heap_places[place / 64], (uint64_t)1 << place % 64, __ATOMIC_RELAXED);
}

static void place_clear(const struct heap *h)
{
    size_t place = (uintptr_t)h / PTM_HEAP_BYTES;

    __atomic_and_fetch(&ptm_heap_places[place / 64], ~((uint64_t)1 << place % 64),
                       __ATOMIC_RELAXED);
}

/* The end may be read by heap_check_freed() meanwhile. */
static void set_end(struct heap *h, char *end)
{
    PTM_STORE(h->end, end);
    if (!h->mapped)
        PTM_STORE(ptm_brk_end, end);
}

void heap_check_freed(const struct chunk *c, size_t size)
{
    const char *first, *end, *at = (const char *)c, *memory = at + PTM_CHUNK_HEADER;
    const struct chunk *next = chunk_at(c, size);

    if (chunk_head(c) & CHUNK_A) {
        const struct heap *h = heap_of(c);

        first = h->first;
        end = PTM_LOAD(h->end);
    } else {
        first = PTM_LOAD(ptm_brk_first);
        end = PTM_LOAD(ptm_brk_end);
    }
    if (PTM_UNLIKELY(at < first || at >= end))
        fault("free(): invalid pointer", memory);
    if (PTM_UNLIKELY(at + size == end))
        fault("free(): double free or corruption (top)", memory);
    if (PTM_UNLIKELY(at + size > end))
        fault("free(): double free or corruption (out)", memory);
    if (PTM_UNLIKELY(chunk_size(next) < PTM_CHUNK_HEADER))
        fault("free(): invalid next size", memory);
    if (PTM_UNLIKELY(!chunk_prev_in_use(next)))
        fault("free(): double free or corruption (!prev)", memory);
}

static size_t heap_flag(const struct heap *h)
{
    return h->mapped ? CHUNK_A : 0;
}

static void set_top(struct arena *a, char *start)
{
    struct chunk *top = (struct chunk *)start;

    chunk_set_head(top, (size_t)(a->heap->end - start) | CHUNK_P | heap_flag(a->heap));
    a->top = top;
    heap_dirty(a, start + PTM_CHUNK_HEADER);
}

/*
 * Ends the newest heap with two fences, because a newer one takes over. The second fence's
 * prev_size tells where the first one begins, for heap_reopen().
 */
static void heap_close(struct arena *a)
{
    struct heap *h = a->heap;
    struct chunk *top = a->top;
    size_t size = top_size(a), rest = size - PTM_MIN_CHUNK;
    size_t fence_size = PTM_CHUNK_HEADER;
    struct chunk *fence, *last;

    if (rest < PTM_MIN_CHUNK) {
        fence_size += rest;
        rest = 0;
    }
    fence = chunk_at(top, rest);
    last = chunk_at(fence, fence_size);
    chunk_set_head(fence, fence_size | heap_flag(h) | (rest ? CHUNK_P : chunk_head(top) & CHUNK_P));
    last->prev_size = fence_size;
    chunk_set_head(last, PTM_CHUNK_HEADER | heap_flag(h) | CHUNK_P);
    h->clean = h->end;
    a->top = NULL;
    if (rest) {
        chunk_set_head(top, rest | heap_flag(h) | CHUNK_P);
        arena_merge(a, top, rest);
    }
}

/* The first fence of a closed heap. */
static struct chunk *fence_of(const struct heap *h)
{
    struct chunk *last = (struct chunk *)(h->end - PTM_CHUNK_HEADER);

    return chunk_at(last, -last->prev_size);
}

/* The free chunk that a closed heap ends in, or its fence: what heap_reopen() makes the top of. */
static struct chunk *closed_top(const struct heap *h)
{
    struct chunk *fence = fence_of(h);

    return chunk_prev_in_use(fence) ? fence : chunk_at(fence, -fence->prev_size);
}

/* Turns the end of the newest heap, closed before, into the top chunk again. */
static void heap_reopen(struct arena *a)
{
    struct chunk *start = closed_top(a->heap);

    if (start != fence_of(a->heap))
        bin_unlink(start);
    set_top(a, (char *)start);
}

static void heap_open(struct arena *a, struct heap *h)
{
    if (a->heap)
        heap_close(a);
    h->older = a->heap;
    h->arena = a;
    h->seal = heap_seal(h);
    if (h->mapped)
        place_set(h);
    a->heap = h;
    count_system(a, h->end - (char *)h);
    set_top(a, h->first);
}

static size_t padded(size_t bytes)
{
    size_t sum;

    return __builtin_add_overflow(bytes, ptm_knobs.top_pad, &sum) ? bytes : sum;
}

/* A new brk heap of at least `bytes`: the first one, or one beyond a foreign caller of sbrk. */
static bool brk_open(struct arena *a, size_t bytes)
{
    uintptr_t now = (uintptr_t)ptm_os.grow(0), base;
    size_t ask = page_up(now + padded(bytes) + sizeof(struct heap) + PTM_ALIGN) - now;
    struct heap *h;

    if (now == 0 || ask > PTRDIFF_MAX)
        return false;
    base = (uintptr_t)ptm_os.grow((intptr_t)ask);
    if (base == 0)
        return false;
    h = (struct heap *)((base + PTM_ALIGN - 1) & ~(uintptr_t)(PTM_ALIGN - 1));
    h->mapped = false;
    h->first = (char *)(h + 1);
    h->committed = (char *)((base + ask) & ~(uintptr_t)(PTM_ALIGN - 1));
    if (!ptm_brk_first)
        PTM_STORE(ptm_brk_first, h->first);
    set_end(h, h->committed);
    /* What shares a page with a foreign caller's memory may have been written by it. */
    h->clean = (char *)page_up((uintptr_t)h->first);
    heap_open(a, h);
    return true;
}

static bool brk_grow(struct arena *a, size_t bytes)
{
    struct heap *h = a->heap;
    size_t ask;
    char *old;

    if (!h)
        return brk_open(a, bytes);
    ask = page_up(padded(bytes) - top_size(a));
    if (ask > PTRDIFF_MAX)
        return false;
    old = ptm_os.grow((intptr_t)ask);
    if (!old)
        return false;
    if (old != h->end) {
        /* Somebody else moved the break. Hand this range back if it is still the last. */
        if (old < h->end)
            fault("the break was moved back into the heap", old);
        if (ptm_os.grow(0) == old + ask)
            ptm_os.grow(-(intptr_t)ask);
        return brk_open(a, bytes);
    }
    /* Who moved the break while brk_open() did, and then back, may have written on our last page. */
    if ((uintptr_t)old & (ptm_page - 1))
        heap_dirty(a, (char *)page_up((uintptr_t)old));
    h->committed = old + ask;
    set_end(h, h->committed);
    count_system(a, (intptr_t)ask);
    chunk_set_size(a->top, (size_t)(h->end - (char *)a->top));
    return true;
}

/* 64 MiB of address space, aligned to 64 MiB. */
static struct heap *mapped_reserve(void)
{
    char *start = ptm_os.reserve(2 * PTM_HEAP_BYTES), *aligned;
    size_t before;

    if (!start) {
        /* Little address space left: perhaps an aligned range comes by chance. */
        start = ptm_os.reserve(PTM_HEAP_BYTES);
        if (start && (uintptr_t)start & PTM_HEAP_MASK) {
            ptm_os.unmap(start, PTM_HEAP_BYTES);
            return NULL;
        }
        return (struct heap *)start;
    }
    aligned = (char *)(((uintptr_t)start + PTM_HEAP_MASK) & ~PTM_HEAP_MASK);
    before = (size_t)(aligned - start);
    if (before)
        ptm_os.unmap(start, before);
    if (before < PTM_HEAP_BYTES)
        ptm_os.unmap(aligned + PTM_HEAP_BYTES, PTM_HEAP_BYTES - before);
    return (struct heap *)aligned;
}

/* A mapped heap with room for `overhead` bytes behind its header and a top chunk of `bytes`. */
static struct heap *mapped_new(size_t overhead, size_t bytes)
{
    size_t need, want;
    struct heap *h;

    overhead = (overhead + sizeof *h + PTM_ALIGN - 1) & ~(size_t)(PTM_ALIGN - 1);
    if (bytes > PTM_HEAP_BYTES - overhead)
        return NULL;
    need = page_up(bytes + overhead);
    want = page_up(padded(bytes + overhead));
    if (want > PTM_HEAP_BYTES)
        want = PTM_HEAP_BYTES;
    h = mapped_reserve();
    if (!h)
        return NULL;
    if (!ptm_os.commit(h, want)) {
        want = need;
        if (!ptm_os.commit(h, want)) {
            ptm_os.unmap(h, PTM_HEAP_BYTES);
            return NULL;
        }
    }
    h->mapped = true;
    h->first = h->clean = (char *)h + overhead;
    h->committed = (char *)h + want;
    set_end(h, h->committed);
    return h;
}

static bool mapped_open(struct arena *a, size_t bytes)
{
    struct heap *h = mapped_new(0, bytes);

    if (h)
        heap_open(a, h);
    return h != NULL;
}

static bool mapped_commit(struct heap *h, char *end)
{
    if (end <= h->committed)
        return true;
    if (!ptm_os.commit(h->committed, (size_t)(end - h->committed)))
        return false;
    h->committed = end;
    return true;
}

/* Lengthens the newest heap; false if it has no room or memory is refused. */
static bool mapped_extend(struct arena *a, size_t bytes)
{
    struct heap *h = a->heap;
    char *limit = (char *)h + PTM_HEAP_BYTES;
    size_t room = (size_t)(limit - (char *)a->top), want;
    char *end;

    if (bytes > room)
        return false;
    want = padded(bytes);
    end = want > room ? limit : (char *)page_up((uintptr_t)a->top + want);
    if (!mapped_commit(h, end)) {
        end = (char *)page_up((uintptr_t)a->top + bytes);
        if (!mapped_commit(h, end))
            return false;
    }
    count_system(a, end - h->end);
    set_end(h, end);
    chunk_set_size(a->top, (size_t)(end - (char *)a->top));
    return true;
}

/* Memory kept back in the hope of sparing system calls, at most. */
#define TRIM_SLACK_MAX ((size_t)4 << 20)

/*
 * An arena that grows after it was trimmed was trimmed too eagerly, and pays for it with page
 * faults: it keeps twice as much the next time.
 */
static void adapt_slack(struct arena *a)
{
    size_t slack = a->trim_slack ? a->trim_slack : PTM_LOAD(ptm_knobs.trim_threshold);

    if (!a->trimmed || ptm_knobs.fixed)
        return;
    a->trimmed = false;
    a->trim_slack = slack < TRIM_SLACK_MAX / 2 ? 2 * slack : TRIM_SLACK_MAX;
}

bool heap_grow(struct arena *a, size_t bytes)
{
    if (bytes > PTRDIFF_MAX)
        return false;
    adapt_slack(a);
    if (a == &ptm_main_arena && (!a->heap || !a->heap->mapped))
        return brk_grow(a, bytes) || mapped_open(a, bytes);
    return mapped_extend(a, bytes) || mapped_open(a, bytes);
}

static void mapped_close(struct arena *a)
{
    struct heap *h = a->heap;

    a->heap = h->older;
    count_system(a, -(h->end - (char *)h));
    heap_reopen(a);
    place_clear(h);
    ptm_os.unmap(h, PTM_HEAP_BYTES);
}

/* Gives back [from, end of the newest heap), which is page-aligned. */
static bool release_tail(struct arena *a, char *from)
{
    struct heap *h = a->heap;
    size_t bytes = (size_t)(h->end - from);

    if (h->mapped) {
        if (!ptm_os.purge(from, bytes))
            return false;
    } else {
        /* Only what we obtained last can be returned, and the system may refuse. */
        if (ptm_os.grow(0) != h->end)
            return false;
        ptm_os.grow(-(intptr_t)bytes);
        if (ptm_os.grow(0) != from)
            return false;
        h->committed = from;
    }
    set_end(h, from);
    if (h->clean > from)
        h->clean = from;
    count_system(a, -(intptr_t)bytes);
    chunk_set_size(a->top, (size_t)(from - (char *)a->top));
    return true;
}

bool heap_drop_empty(struct arena *a, size_t room)
{
    bool dropped = false;

    while (a->top && a->heap->mapped && a->heap->older && (char *)a->top == a->heap->first) {
        const struct heap *older = a->heap->older;

        if ((size_t)(older->end - (char *)closed_top(older)) < room)
            break;
        mapped_close(a);
        dropped = true;
    }
    return dropped;
}

bool heap_shrink(struct arena *a, size_t pad)
{
    bool returned = heap_drop_empty(a, 0);
    size_t keep;
    char *from;

    if (!a->top)
        return false;
    if (__builtin_add_overflow(pad, PTM_MIN_CHUNK, &keep) || keep >= top_size(a))
        return returned;
    from = (char *)page_up((uintptr_t)a->top + keep);
    if (from < a->heap->end)
        returned |= release_tail(a, from);
    return returned;
}

struct arena *heap_new_arena(void)
{
    struct heap *h = mapped_new(sizeof(struct arena) + _Alignof(struct arena), PTM_MIN_CHUNK);
    struct arena *a;

    if (!h)
        return NULL;
    a = (struct arena *)(((uintptr_t)(h + 1) + _Alignof(struct arena) - 1) &
                         ~(uintptr_t)(_Alignof(struct arena) - 1));
    bins_start(a);
    heap_open(a, h);
    return a;
}
