#include "mapped.h"

#include <errno.h>
#include <sys/mman.h>

#include "../os.h"
#include "../types.h"
#include "kept.h"
#include "lock.h"

struct mapping {
    uintptr_t start; /* 0: empty */
    size_t bytes;
};

/*
 * Open addressing with linear probing; at most half full, doubled when it would be fuller. All under
 * the lock.
 */
static struct lock table_lock;
static struct mapping *table;
static size_t table_size, table_used;

struct mapped_count mapped_count;

enum { FIRST_SIZE = 256 };

static size_t hash(uintptr_t start)
{
    return (start >> PAGE_SHIFT) * 0x9e3779b97f4a7c15u >> 20 & (table_size - 1);
}

static struct mapping *find(uintptr_t start)
{
    struct mapping *m;

    if (!table)
        return NULL;
    for (size_t i = hash(start);; i = (i + 1) & (table_size - 1)) {
        m = &table[i];
        if (m->start == start || m->start == 0)
            return m;
    }
}

static bool grow(void)
{
    struct mapping *old = table;
    size_t old_size = table_size, size = old_size ? old_size * 2 : FIRST_SIZE;
    struct mapping *new = kmem_os.map(size * sizeof *new);

    if (!new)
        return false;
    table = new;
    table_size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].start)
            *find(old[i].start) = old[i];
    if (old)
        unmap_or_keep(old, old_size * sizeof *old);
    return true;
}

/* Under the lock; large.c looks at the count without it. */
static void count(size_t count, size_t bytes)
{
    __atomic_store_n(&mapped_count.count, mapped_count.count + count, __ATOMIC_RELAXED);
    mapped_count.bytes += bytes;
    if (mapped_count.count > mapped_count.count_max)
        mapped_count.count_max = mapped_count.count;
    if (mapped_count.bytes > mapped_count.bytes_max)
        mapped_count.bytes_max = mapped_count.bytes;
}

static bool insert(void *start, size_t bytes)
{
    bool done;

    lock_take(&table_lock);
    done = table_used < table_size / 2 || grow();
    if (done) {
        *find((uintptr_t)start) = (struct mapping){(uintptr_t)start, bytes};
        table_used++;
        count(1, bytes);
    }
    lock_drop(&table_lock);
    return done;
}

/* Takes the mapping out and closes the gap it leaves in its run of entries. */
static size_t take_out(const void *start)
{
    struct mapping *m = find((uintptr_t)start);
    size_t bytes, mask = table_size - 1;

    if (!m || !m->start)
        return 0;
    bytes = m->bytes;
    m->start = 0;
    table_used--;
    for (size_t i = ((size_t)(m - table) + 1) & mask; table[i].start; i = (i + 1) & mask) {
        struct mapping moved = table[i];

        table[i].start = 0;
        *find(moved.start) = moved;
    }
    count((size_t)-1, -bytes);
    return bytes;
}

/* From the system: what lies in front of the first multiple of `align`, and behind, goes back. */
static char *map_aligned(size_t bytes, size_t align)
{
    size_t all, head;
    char *start;

    if (__builtin_add_overflow(bytes, align - PAGE_SIZE, &all) || all > PTRDIFF_MAX)
        return NULL;
    start = kmem_os.map(all);
    if (!start)
        return NULL;
    head = -(uintptr_t)start & (align - 1);
    if (head)
        unmap_or_keep(start, head);
    start += head;
    if (all > head + bytes)
        unmap_or_keep(start + bytes, all - head - bytes);
    return start;
}

void *mapped_alloc(size_t bytes, size_t align)
{
    char *start;

    bytes = bytes ? (bytes + PAGE_SIZE - 1) & PAGE_MASK : PAGE_SIZE;
    if (align < PAGE_SIZE)
        align = PAGE_SIZE;
    start = take_kept(bytes, align);
    if (!start)
        start = map_aligned(bytes, align);
    if (!start)
        return NULL;
    if (insert(start, bytes))
        return start;
    unmap_or_keep(start, bytes);
    return NULL;
}

size_t mapped_size(const void *memory)
{
    struct mapping *m;
    size_t bytes;

    lock_take(&table_lock);
    m = memory ? find((uintptr_t)memory) : NULL;
    bytes = m && m->start ? m->bytes : 0;
    lock_drop(&table_lock);
    return bytes;
}

uintptr_t mapped_between(uintptr_t from, uintptr_t to)
{
    uintptr_t highest = 0;

    lock_take(&table_lock);
    for (size_t i = 0; i < table_size; i++)
        if (table[i].start >= from && table[i].start < to && table[i].start > highest)
            highest = table[i].start;
    lock_drop(&table_lock);
    return highest;
}

bool mapped_free(void *memory)
{
    size_t bytes;

    lock_take(&table_lock);
    bytes = take_out(memory);
    lock_drop(&table_lock);
    if (bytes)
        unmap_or_keep(memory, bytes);
    return bytes != 0;
}

/*
 * Between the move and the new entry nobody can map the old place and enter it, because both happen
 * under the lock.
 */
void *mapped_resize(void *memory, size_t bytes)
{
    struct mapping *m;
    void *moved = NULL;
    size_t old;
    int saved = errno;

    bytes = (bytes + PAGE_SIZE - 1) & PAGE_MASK;
    lock_take(&table_lock);
    m = find((uintptr_t)memory);
    old = m && m->start ? m->bytes : 0;
    if (old == bytes) {
        moved = memory;
    } else if (old) {
        moved = mremap(memory, old, bytes, MREMAP_MAYMOVE);
        moved = moved == MAP_FAILED ? NULL : moved;
        if (moved) {
            take_out(memory);
            *find((uintptr_t)moved) = (struct mapping){(uintptr_t)moved, bytes};
            table_used++;
            count(1, bytes);
        }
    }
    lock_drop(&table_lock);
    errno = saved;
    return moved;
}

void mapped_before_fork(void)
{
    lock_take(&table_lock);
    kept_before_fork();
}

void mapped_after_fork_parent(void)
{
    kept_after_fork_parent();
    lock_drop(&table_lock);
}

void mapped_after_fork_child(void)
{
    kept_after_fork_child();
    lock_reset(&table_lock);
}
