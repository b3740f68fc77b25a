#include "workloads/trace/recorder_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

__thread struct log_thread log_thread;
struct log_guard log_guard;
bool log_is_tsc;

enum { WAITING, STARTED, INERT };
static _Atomic int state;
static struct raw_header *header;
static uint64_t mapped_bytes;

static void stop(enum raw_flag why)
{
    atomic_fetch_or(&header->flags, why);
    log_guard.recording = 0;
}

/* Maps as much of the file as the program's limits allow: the mapping is address space only. */
static bool map_file(int fd, uint64_t file_bytes)
{
    for (mapped_bytes = file_bytes; mapped_bytes >= 1024 * RAW_PAGE_BYTES; mapped_bytes /= 2) {
        header =
            mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (header == MAP_FAILED)
            continue;
        madvise(header, mapped_bytes, MADV_DONTDUMP);
        return true;
    }
    return false;
}

/* One process records: the first that comes. True for that one alone. */
static bool claim(void)
{
    uint32_t nobody = 0, self = (uint32_t)getpid();
    if (atomic_compare_exchange_strong(&header->claimed, &nobody, self))
        return true;
    if (nobody == self)
        atomic_fetch_or(&header->flags, RAW_REPLACED);
    return false;
}

static bool open_recording(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat file;
    bool mapped = fstat(fd, &file) == 0 && map_file(fd, (uint64_t)file.st_size);
    close(fd); /* the mapping stays: the program may close or reuse any descriptor it likes */
    if (!mapped)
        return false;
    if (memcmp(header->magic, RAW_MAGIC, sizeof header->magic) == 0 &&
        header->version == RAW_VERSION && claim())
        return true;
    munmap(header, mapped_bytes);
    return false;
}

/*
 * The first call of the process: it may come before the C library has set `environ` (the dynamic
 * linker allocates early). Then the next call tries again.
 */
static void open_if_asked(void)
{
    extern char **environ;
    if (environ == NULL)
        return;
    const char *path = getenv(RAW_ENV);
    state = INERT;
    if (path == NULL || !open_recording(path))
        return;
    state = STARTED;
    log_is_tsc = header->is_tsc != 0;
    if (madvise(&log_guard, sizeof log_guard, MADV_WIPEONFORK) != 0)
        stop(RAW_OLD_KERNEL);
    else
        log_guard.recording = 1;
}

/*
 * Populating gets a whole segment's pages and disk blocks at once: an ordinary page fault each
 * would cost several times as much, and on a full disk it would be a SIGBUS.
 */
static bool populate(void *memory, size_t bytes)
{
    while (madvise(memory, bytes, MADV_POPULATE_WRITE) != 0)
        if (errno != EINTR && errno != EAGAIN)
            return false;
    return true;
}

/* Nobody may touch the file from here on, not even to read: on tmpfs that takes space too. */
static void cut(uint64_t offset)
{
    uint64_t before = header->cut;
    while ((before == 0 || offset < before) &&
           !atomic_compare_exchange_weak(&header->cut, &before, offset))
        continue;
    stop(errno == EINVAL ? RAW_OLD_KERNEL : RAW_NO_SPACE);
}

static uint32_t next_segment_bytes(const struct raw_segment *current)
{
    if (current == NULL)
        return RAW_SEGMENT_BYTES_MIN;
    uint32_t bytes = current->bytes * 4;
    return bytes < RAW_SEGMENT_BYTES_MAX ? bytes : RAW_SEGMENT_BYTES_MAX;
}

static bool take_segment(struct log_thread *t)
{
    uint32_t bytes = next_segment_bytes(t->segment);
    uint64_t offset = atomic_fetch_add(&header->next, bytes);
    if (offset + bytes > mapped_bytes) {
        stop(RAW_TOO_LONG);
        return false;
    }
    struct raw_segment *segment = (struct raw_segment *)((char *)header + offset);
    if (!populate(segment, bytes)) {
        cut(offset);
        return false;
    }
    if (t->segment == NULL)
        t->thread = atomic_fetch_add(&header->threads, 1);
    else /* keeps the program's resident memory as it was; the pages stay in the file */
        madvise(t->segment, t->segment->bytes, MADV_DONTNEED);
    *segment = (struct raw_segment){
        .bytes = bytes,
        .thread = t->thread,
        .sequence = t->sequence++,
        .self = (uint64_t)pthread_self(),
        .is_main = getpid() == gettid(),
    };
    atomic_signal_fence(memory_order_release);
    segment->magic = RAW_SEGMENT_MAGIC;
    t->segment = segment;
    t->cursor = (struct raw_record *)(segment + 1);
    t->end = (struct raw_record *)((char *)segment + bytes);
    t->epoch = UINT64_MAX; /* each segment says its own: it can be read without the one before */
    return true;
}

/* Room for one record, or two if the epoch changes. */
static struct raw_record *reserve(struct log_thread *t, uint64_t now)
{
    bool new_epoch = now >> 32 != t->epoch;
    if (t->end - t->cursor < 1 + new_epoch && !take_segment(t))
        return NULL;
    if (now >> 32 != t->epoch) {
        t->epoch = now >> 32;
        log_fill(t->cursor++, RAW_EPOCH, 0, t->epoch);
    }
    return t->cursor++;
}

/* Recording is off: not begun, or not for this process, or over. */
static bool begin_or_end(void)
{
    if (state == WAITING)
        open_if_asked();
    if (state != STARTED || log_guard.recording)
        return state == STARTED;
    if (header->claimed != (uint32_t)getpid())
        atomic_fetch_or(&header->flags, RAW_FORKED);
    state = INERT;
    return false;
}

bool log_start(void)
{
    struct log_thread *t = &log_thread;
    if (state == INERT || t->busy)
        return false;
    int saved_errno = errno;
    t->busy = 1;
    bool on = begin_or_end();
    t->busy = 0;
    errno = saved_errno;
    return on;
}

struct raw_record *log_reserve_slow(uint64_t now)
{
    struct log_thread *t = &log_thread;
    if (t->busy)
        return NULL;
    int saved_errno = errno;
    t->busy = 1;
    struct raw_record *record = reserve(t, now);
    t->busy = 0;
    errno = saved_errno;
    return record;
}

void log_write_wide(enum raw_op op, uint64_t address, uint64_t size)
{
    uint64_t now = log_now();
    struct raw_record *wide = log_reserve(now);
    if (wide != NULL)
        log_fill(wide, RAW_WIDE_SIZE, 0, size);
    struct raw_record *record = log_reserve(now);
    if (record != NULL)
        log_fill(record, op, address, log_payload(RAW_WIDE, now));
}

/* The current segment, to count in. */
static struct raw_segment *counting_segment(void)
{
    struct log_thread *t = &log_thread;
    if (!log_is_on())
        return NULL;
    if (t->segment == NULL)
        log_reserve(log_now()); /* the record stays empty: readers skip it */
    return t->segment;
}

void log_count_failed(void)
{
    struct raw_segment *segment = counting_segment();
    if (segment != NULL)
        segment->failed_calls++;
}

void log_count_null_free(void)
{
    struct raw_segment *segment = counting_segment();
    if (segment != NULL)
        segment->null_frees++;
}
