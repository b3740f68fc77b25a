#include "large.h"

#include <stdint.h>

#include "classes.h"
#include "fault.h"
#include "mapped.h"
#include "options.h"

static unsigned order_of(size_t bytes)
{
    return bytes <= PAGE_SIZE ? 0 : 64 - PAGE_SHIFT - (unsigned)__builtin_clzl(bytes - 1);
}

/*
 * Up to so many pages whole blocks are taken: to cut runs and look for gaps would take longer than what
 * is done with so few pages. README.md has what both take.
 */
enum { BLOCK_PAGES_MAX = 64 };

/* At least one; a power of two where a whole block is taken. */
static size_t pages_of(size_t bytes)
{
    size_t pages = bytes ? (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT : 1;

    return pages <= BLOCK_PAGES_MAX ? (size_t)1 << order_of(bytes) : pages;
}

static struct page *alloc_pages_of(gfp_t gfp, size_t bytes, size_t align)
{
    size_t pages = pages_of(bytes);

    return pages <= BLOCK_PAGES_MAX ? alloc_pages(gfp, order_of(bytes > align ? bytes : align))
                                    : alloc_page_run(gfp, pages, order_of(align));
}

static size_t pages_max(void)
{
    return __atomic_load_n(&malloc_options.pages_max, __ATOMIC_RELAXED);
}

static bool may_map(void)
{
    return __atomic_load_n(&mapped_count.count, __ATOMIC_RELAXED) <
           __atomic_load_n(&malloc_options.mmap_max, __ATOMIC_RELAXED);
}

/* Every mapping costs a system call, and threads' stacks need some too: the system lets a process have 65530. */
enum { STAND_INS_MAX = 8192 };

bool may_stand_in(void)
{
    return __atomic_load_n(&mapped_count.count, __ATOMIC_RELAXED) < STAND_INS_MAX;
}

static void *alloc_block(gfp_t gfp, size_t bytes, size_t align)
{
    struct page *page = alloc_pages_of(gfp, bytes, align);

    if (!page)
        return NULL;
    slub_grew(page, gfp);
    return page_address(page);
}

/* Where pages are short a mapping will do; others are made to give back theirs only if there may be none. */
void *large_alloc(size_t bytes, size_t align, bool zero)
{
    gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | (zero ? __GFP_ZERO : 0);
    size_t block = bytes > align ? bytes : align;
    void *memory = NULL;

    slub_start();
    if (block <= pages_max() || (block <= MAX_ORDER_BYTES && !may_map()))
        memory = alloc_block(gfp | __GFP_NO_RECLAIM, bytes, align);
    if (!memory && (block > pages_max() || may_stand_in()))
        memory = mapped_alloc(bytes, align);
    if (!memory && block <= MAX_ORDER_BYTES)
        memory = alloc_block(gfp | __GFP_NORETRY, bytes, align);
    return memory;
}

/* The block or run of pages that starts at `memory`; aborts if it is in the pool and starts none. */
static struct page *block_at(const void *memory, const char *wrong)
{
    size_t frame = virt_to_frame(memory);
    unsigned state = frame_state(frame);

    if (!frame_is_used(state))
        fault("free: freed before, or never allocated", memory);
    if (frame_is_highmem(frame))
        fault("free: not from malloc", memory);
    if ((uintptr_t)memory % PAGE_SIZE || !frame_starts(frame, state))
        fault(wrong, memory);
    return frame_to_page(frame);
}

/*
 * Not a mapping. These lie in the pool's range, too, where a late limit of address space has left a hole: frames there
 * are never in use.
 */
static bool is_pages(const void *memory)
{
    return in_page_pool(memory) &&
           (frame_is_used(frame_state(virt_to_frame(memory))) || !mapped_size(memory));
}

void large_free(void *memory)
{
    static const char interior[] = "free: pointer into the middle of an object";

    if (!is_pages(memory)) {
        if (!mapped_free(memory))
            fault("free: not from malloc, or freed before", memory);
        return;
    }
    free_page_run(block_at(memory, interior));
}

size_t large_size(const void *memory, const char *wrong)
{
    size_t bytes;

    if (is_pages(memory))
        return page_frames(block_at(memory, wrong)) << PAGE_SHIFT;
    bytes = mapped_size(memory);
    if (!bytes)
        fault(wrong, memory);
    return bytes;
}

/*
 * What lies idle at the end goes back, but for an eighth: a block that grew by being moved was given so
 * much in advance.
 */
static bool resize_pages(void *memory, size_t bytes)
{
    struct page *page = virt_to_page(memory);
    size_t pages = page_frames(page), wanted = pages_of(bytes), absent;

    if (wanted <= pages && pages - wanted <= wanted / MALLOC_AHEAD)
        return true;
    if (!resize_page_run(page, wanted, &absent))
        return false;
    slub_grew_by(absent, GFP_KERNEL);
    return true;
}

void *large_resize(void *memory, size_t bytes)
{
    if (is_pages(memory))
        return bytes > MALLOC_CACHE_MAX && bytes <= pages_max() && resize_pages(memory, bytes)
                   ? memory
                   : NULL;
    return bytes > pages_max() ? mapped_resize(memory, bytes) : NULL;
}

size_t large_ahead(size_t bytes)
{
    size_t more = bytes + bytes / MALLOC_AHEAD;

    return bytes > MALLOC_CACHE_MAX && more <= pages_max() ? more : bytes;
}
