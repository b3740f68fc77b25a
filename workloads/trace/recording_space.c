#include "workloads/trace/recording_space.h"

#include "workloads/trace/raw.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Twice what has been carved off so far, within these. */
#define AHEAD_BYTES_MIN (UINT64_C(4) << 20)
#define AHEAD_BYTES_MAX (UINT64_C(32) << 20)
#define STEP_BYTES      (UINT64_C(1) << 20)

#define MADE_BYTES (UINT64_C(1) << 20) /* of pages, what the fastest program fills in 3 ms */

#define FOLIO_BYTES_MAX (UINT64_C(2) << 20)

enum { PART_OF_MEMORY = 64, PART_OF_DISK = 16 };

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t space_bytes_max(int raw_fd, uint64_t size_max)
{
    struct statvfs disk;
    uint64_t most = size_max != 0 ? size_max : UINT64_MAX;
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0)
        most = least(most, (uint64_t)pages * RAW_PAGE_BYTES / PART_OF_MEMORY);
    if (fstatvfs(raw_fd, &disk) == 0 && disk.f_blocks != 0) /* else it has no limit */
        most = least(most, (uint64_t)disk.f_bavail * disk.f_frsize / PART_OF_DISK);
    return most;
}

/* A fallocate() that fails keeps what it got, though it says nothing of it: hence in steps. */
static bool take(struct space *space, uint64_t bytes)
{
    while (bytes > 0) {
        uint64_t step = least(bytes, STEP_BYTES);
        if (fallocate(space->raw_fd, 0, (off_t)space->end, (off_t)step) != 0)
            return false;
        space->end += step;
        bytes -= step;
    }
    return true;
}

void space_begin(struct space *space, int raw_fd, uint64_t size_max)
{
    uint64_t bytes = least(AHEAD_BYTES_MIN, space_bytes_max(raw_fd, size_max));
    *space = (struct space){.raw_fd = raw_fd, .end = RAW_FIRST_SEGMENT};
    if (bytes > 0 && take(space, bytes))
        return;
    int ignored = ftruncate(raw_fd, RAW_FIRST_SEGMENT);
    (void)ignored;
    space->end = UINT64_MAX;
}

void space_announce(const struct space *space, struct raw_header *header)
{
    if (space->end != UINT64_MAX)
        header->reserved = space->end;
}

void space_keep_ahead(struct space *space, struct raw_header *header)
{
    uint64_t next = header->next, ahead = 2 * (next - RAW_FIRST_SEGMENT);
    if (ahead < AHEAD_BYTES_MIN)
        ahead = AHEAD_BYTES_MIN;
    if (ahead > AHEAD_BYTES_MAX || header->confined) /* those have nothing else */
        ahead = AHEAD_BYTES_MAX;
    if (header->cut != 0 || space->end == UINT64_MAX || space->end >= next + ahead / 2)
        return;
    ahead = least(ahead, space_bytes_max(space->raw_fd, header->size_max));
    if (space->end < next)
        space->end = next; /* what was carved off has its blocks by now */
    uint64_t end = least(next + ahead, header->file_bytes);
    bool refused = end > space->end && !take(space, end - space->end);
    space_announce(space, header);
    if (refused)
        space->end = UINT64_MAX;
}

void space_make_pages(struct space *space, struct raw_header *header)
{
    uint64_t next = header->next;
    if (header->cut != 0 || space->end == UINT64_MAX)
        return;
    if (space->made < next)
        space->made = next;
    uint64_t end = least(next + MADE_BYTES, space->end);
    if (space->made >= end)
        return;
    madvise((char *)header + space->made, end - space->made, MADV_POPULATE_WRITE);
    space->made = end;
}

void space_remove(char *start, uint64_t bytes)
{
    msync(start - FOLIO_BYTES_MAX, 2 * FOLIO_BYTES_MAX, MS_SYNC);
    madvise(start, bytes, MADV_REMOVE);
}

void space_release(struct raw_header *header, uint64_t keep_bytes)
{
    uint64_t from = header->next + keep_bytes;
    from = (from + RAW_PAGE_BYTES - 1) & -(uint64_t)RAW_PAGE_BYTES;
    if (header->reserved > from)
        header->reserved = from;
    if (from < header->file_bytes)
        space_remove((char *)header + from, header->file_bytes - from);
}
