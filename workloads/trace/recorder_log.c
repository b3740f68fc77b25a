#include "workloads/trace/recorder_log.h"

#include "allocators/common/uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

__thread struct log_thread log_thread = {.cursor = LOG_NOWHERE};
struct log_guard log_guard;
/* No thread's `control` is like this one's: nobody takes the short way. */
static struct raw_header nothing = {.level = RAW_FREES};
struct raw_header *log_header = &nothing;
char log_raw_path[PATH_MAX];
bool log_is_tsc, log_is_plain;
bool log_is_alone = true;
_Atomic uint32_t log_confined;

enum { WAITING, STARTED, INERT };

/* Of a program that confines itself. */
enum { STOCK_BYTES = 8 << 20, WAIT_MS = 50 };

static _Atomic int state;
static struct raw_process *process;
static uint32_t process_index;
static uint64_t mapped_bytes;

static void stop(enum raw_flag why)
{
    atomic_fetch_or(&process->flags, why);
    state = INERT;
    log_guard.recording = 0;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Maps as much of the file as the program's limits allow: the mapping is address space only. */
static struct raw_header *map_file(int fd, uint64_t file_bytes)
{
    for (mapped_bytes = file_bytes; mapped_bytes >= 2048 * RAW_PAGE_BYTES; mapped_bytes /= 2) {
        void *header =
            mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (header == MAP_FAILED)
            continue;
        raw_advise(header, mapped_bytes);
        return header;
    }
    return NULL;
}

uint64_t log_mapped_bytes(void)
{
    return mapped_bytes;
}

static bool open_recording(const char *path)
{
    int fd = uncancelled_open(path, O_RDWR);
    if (fd < 0)
        return false;
    struct stat file;
    struct raw_header *header = fstat(fd, &file) == 0 ? map_file(fd, (uint64_t)file.st_size) : NULL;
    /* The mapping stays: the program may close or reuse any descriptor it likes. */
    uncancelled_close(fd);
    if (header == NULL)
        return false;
    if (memcmp(header->magic, RAW_MAGIC, sizeof header->magic) == 0 &&
        header->version == RAW_VERSION) {
        log_header = header;
        return true;
    }
    munmap(header, mapped_bytes);
    return false;
}

/* A later process than the first is recorded only if it is asked for, else the first one says so. */
static bool refuse(bool forked)
{
    struct raw_process *first = raw_process(log_header, 0);
    bool same = first->pid == (uint32_t)getpid();
    if (!forked && first->pid == 0)
        return false;
    if (log_header->options & RAW_FOLLOW)
        return false;
    atomic_fetch_or(&first->flags, same ? RAW_REPLACED : RAW_FORKED);
    return true;
}

static void identify(void)
{
    struct identity identity = identity_of_self();
    process->birth = identity.birth;
    process->clock = identity.clock;
    process->space = identity.space;
    process->identified = 1;
}

static bool leave_command(void);

/* From here on the process has an entry of its own. */
static bool begin_process(bool forked)
{
    if (refuse(forked))
        return false;
    process = raw_enter(log_header, (uint32_t)getpid());
    if (process == NULL)
        return false;
    process_index = (uint32_t)(process - raw_process(log_header, 0));
    identify();
    process->parent_pid = (uint32_t)getppid();
    log_is_tsc = log_header->is_tsc != 0;
    if (!log_is_tsc)
        identity_settle_clock();
    log_is_plain = log_header->sample <= 1 && log_header->stack_depth == 0 &&
                   !(log_header->options & RAW_CPUS);
    if (!forked && madvise(&log_guard, sizeof log_guard, MADV_WIPEONFORK) != 0) {
        stop(RAW_FORBIDDEN);
        return false;
    }
    if (log_header->stack_depth > 0)
        log_save_modules(process_index);
    if (!leave_command())
        return false;
    log_guard.recording = LOG_RECORDING;
    return true;
}

/*
 * The first call of the process: it may come before the C library has set `environ` (the dynamic
 * linker allocates early). Then the next call tries again.
 */
static bool begin_image(void)
{
    extern char **environ;
    if (environ == NULL)
        return false;
    const char *path = getenv(RAW_ENV);
    state = INERT;
    if (path == NULL || strlen(path) >= sizeof log_raw_path)
        return false;
    strcpy(log_raw_path, path);
    if (!open_recording(path))
        return false;
    log_read_command();
    if (!begin_process(false))
        return false;
    state = STARTED;
    return true;
}

/* A child of one that has confined itself may not even ask who it is. */
static bool leave_out(void)
{
    if (log_header->options & RAW_FOLLOW)
        atomic_fetch_add(&log_header->left_out, 1);
    else
        atomic_fetch_or(&raw_process(log_header, 0)->flags, RAW_FORKED);
    state = INERT;
    return false;
}

/* The thread that called fork() is the only one there is, and its segment is the parent's. */
static bool begin_child(void)
{
    if (log_confined > 0)
        return leave_out();
    uint32_t busy = log_thread.busy;
    log_thread = (struct log_thread){.cursor = LOG_NOWHERE, .busy = busy};
    state = begin_process(true) ? STARTED : INERT;
    return state == STARTED;
}

bool log_start(void)
{
    struct log_thread *t = &log_thread;
    if (state == INERT || t->busy)
        return false;
    int saved_errno = errno;
    t->busy = 1;
    bool on = log_guard.recording != 0; /* another thread may have been faster */
    if (!on && state == WAITING)
        on = begin_image();
    else if (!on && state == STARTED)
        on = begin_child();
    log_thread.busy = 0;
    errno = saved_errno;
    return on;
}

/* ---- programs that confine themselves -------------------------------------------------------- */

/* A child of fork() begins now, while it may. */
static bool is_recorded(void)
{
    return log_guard.recording != 0 || log_start();
}

/*
 * A child of vfork() speaks for itself, and not for its parent. Under a filter it must not even be asked who it is;
 * there what it says only repeats what holds for its parent.
 */
static bool is_own(void)
{
    return log_confined > 0 || process->pid == (uint32_t)getpid();
}

static void pause_ms(void)
{
    uncancelled_sleep(1000000);
}

/*
 * Until as much is reserved as the program may fill before `heapmark record`, which knows now, looks again; or a
 * while, as it may not be there, or the disk have no more. Then waiting again is in vain: programs try filters many
 * times over. Where the file system reserves nothing there is nothing to wait for.
 */
static void wait_for_stock(void)
{
    static bool in_vain;
    for (int i = 0; i < WAIT_MS && !in_vain && log_header->reserved != 0; i++) {
        if (log_header->reserved >= log_header->next + STOCK_BYTES)
            return;
        pause_ms();
    }
    in_vain = true;
}

/* A filter may be for all threads, and be the end of one that writes a list of modules. */
static void wait_for_modules(void)
{
    for (int i = 0; i < WAIT_MS && log_guard.saving_modules != 0; i++)
        pause_ms();
}

bool log_confine(void)
{
    int saved_errno = errno;
    bool concerns = !is_recorded() || is_own();
    if (concerns && atomic_fetch_add(&log_confined, 1) == 0) {
        log_describe_begin();
        log_header->confined = 1; /* and stays, if this filter is none: who tries means it */
        wait_for_stock();
        wait_for_modules();
    }
    errno = saved_errno;
    return concerns;
}

void log_shut(void)
{
    int saved_errno = errno;
    if (is_recorded() && is_own())
        stop(RAW_SHUT);
    errno = saved_errno;
}

/* ---- segments -------------------------------------------------------------------------------- */

/*
 * Populating gets a whole segment's pages and disk blocks at once: an ordinary page fault each
 * would cost several times as much, and on a full disk it would be a SIGBUS.
 */
static bool populate(void *memory, size_t bytes)
{
    if (log_confined > 0) {
        errno = EPERM;
        return false;
    }
    while (madvise(memory, bytes, MADV_POPULATE_WRITE) != 0)
        if (errno != EINTR && errno != EAGAIN)
            return false;
    return true;
}

/* EFAULT stands for the SIGBUS that a page fault would have been. */
static bool is_no_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM ||
           error == EFAULT;
}

/* Nobody may touch the file from here on, not even to read: on tmpfs that takes space too. */
static void cut(uint64_t offset)
{
    uint64_t before = log_header->cut;
    while ((before == 0 || offset < before) &&
           !atomic_compare_exchange_weak(&log_header->cut, &before, offset))
        continue;
    stop(RAW_NO_SPACE);
}

/*
 * A filter of the program's own (seccomp) may forbid populating. Then what has its disk blocks already is touched as
 * it is, and where that ends so does this process's recording, but nobody else's. False: stopped.
 */
static bool get_pages(struct raw_segment *segment, uint64_t offset, uint32_t bytes,
                      uint64_t reserved)
{
    if (populate(segment, bytes))
        return true;
    if (is_no_space(errno))
        cut(offset);
    else if (offset + bytes > reserved)
        stop(RAW_FORBIDDEN);
    else
        return true;
    return false;
}

static struct raw_segment *carve(uint32_t bytes)
{
    uint64_t reserved = log_header->reserved; /* read first: it goes by `next`, among others */
    uint64_t offset = atomic_fetch_add(&log_header->next, bytes);
    if (offset + bytes > mapped_bytes) {
        stop(RAW_TOO_LONG);
        return NULL;
    }
    struct raw_segment *segment = (struct raw_segment *)((char *)log_header + offset);
    if (!get_pages(segment, offset, bytes, reserved))
        return NULL;
    segment->bytes = bytes;
    raw_announce(log_header, segment);
    return segment;
}

/*
 * One that went round lies in the file already, but not in this process's page table if it was last another
 * one's.
 */
static struct raw_segment *find_segment(uint32_t bytes)
{
    struct raw_segment *segment = raw_take(log_header, bytes, mapped_bytes);
    if (segment == NULL)
        return carve(bytes);
    if (segment->process != process_index)
        populate(segment, bytes);
    return segment;
}

/*
 * Before the process's first record, so that who finds that one knows the command. The lap stays: what
 * the segment held before remains of a lap before that of the next records.
 */
static bool leave_command(void)
{
    struct raw_segment *segment = find_segment(RAW_SEGMENT_BYTES_SMALL);
    if (segment == NULL)
        return false;
    log_put_command(segment);
    segment->process = process_index;
    segment->thread = RAW_NOBODY;
    segment->seen = 0;
    atomic_store_explicit(&segment->state, RAW_SEGMENT_FULL, memory_order_release);
    return true;
}

/*
 * A signal handler may come at any moment: until `cursor` is set again, last, what it reserves fits
 * nowhere, and it goes the long way, where `busy` turns it away. So it leaves no gap either.
 */
static void leave_segment(struct log_thread *t)
{
    t->cursor = LOG_NOWHERE;
    atomic_signal_fence(memory_order_seq_cst);
}

static void use_segment(struct log_thread *t, struct raw_segment *segment)
{
    t->segment = segment;
    t->lap = (uint64_t)segment->lap << 8;
    t->epoch = UINT64_MAX; /* each segment says its own: it can be read without the one before */
    t->cpu = 0;
    t->last = raw_records(segment) + raw_record_count(segment) - 1;
    atomic_signal_fence(memory_order_seq_cst);
    t->cursor = raw_records(segment);
}

/* Whether a trace has a number left for a thread. */
static bool has_number(void)
{
    if (process->threads < RAW_THREADS_MAX)
        return true;
    if (!(process->flags & RAW_MANY_THREADS))
        atomic_fetch_or(&process->flags, RAW_MANY_THREADS);
    return false;
}

static bool take_segment(struct log_thread *t)
{
    uint32_t bytes = t->segment == NULL ? RAW_SEGMENT_BYTES_SMALL : RAW_SEGMENT_BYTES_LARGE;
    leave_segment(t);
    if (t->segment == NULL && !has_number())
        return false;
    struct raw_segment *segment = find_segment(bytes);
    if (segment == NULL)
        return false;
    if (t->segment == NULL)
        t->thread = atomic_fetch_add(&process->threads, 1);
    if (t->thread > 0)
        log_not_alone();
    if (t->segment != NULL)
        atomic_store_explicit(&t->segment->state, RAW_SEGMENT_FULL, memory_order_release);
    if (t->segment != NULL && log_header->stack_depth > 0)
        log_save_modules(process_index);
    segment->lap = segment->lap % 255 + 1;
    segment->process = process_index;
    segment->thread = t->thread;
    segment->sequence = t->sequence++;
    segment->parent = t->parent - 1;
    segment->self = (uint64_t)pthread_self();
    segment->created = t->created;
    segment->started = t->started;
    segment->seen = 0;
    segment->marks[0] = segment->marks[1] = (struct raw_mark){.consumed = 0};
    segment->null_frees = segment->failed_calls = 0;
    atomic_store_explicit(&segment->state, RAW_SEGMENT_USED, memory_order_release);
    use_segment(t, segment);
    return true;
}

/*
 * A record after one that tells the epoch, both reserved while no signal handler can change segment
 * or epoch; it may still take records between them.
 */
static struct raw_record *reserve(struct log_thread *t, uint64_t now)
{
    for (;;) {
        struct raw_record *record = log_advance(t);
        if (log_fits(t, record)) {
            t->epoch = now >> 32;
            log_fill(record, RAW_EPOCH, 0, t->epoch);
            record = log_advance(t);
            if (log_fits(t, record))
                return record;
        }
        if (!take_segment(t))
            return NULL;
    }
}

struct raw_record *log_reserve_slow(uint64_t now, struct raw_record *taken)
{
    struct log_thread *t = &log_thread;
    if (log_fits(t, taken))
        log_fill(taken, RAW_NOTHING, 0, 0);
    if (t->busy)
        return NULL;
    int saved_errno = errno;
    t->busy = 1;
    struct raw_record *record = reserve(t, now);
    t->busy = 0;
    errno = saved_errno;
    return record;
}

/* A call with a size, or what stands in its place, that does not fit a record. */
static void write_wide(enum raw_op op, uint64_t address, uint64_t size)
{
    uint64_t now = log_now();
    struct raw_record *record = log_reserve(now);
    if (record == NULL)
        return;
    if (!log_fits(&log_thread, record + 1)) { /* readers go by segments: the two stand in one */
        log_fill(record, RAW_NOTHING, 0, 0);
        record = log_reserve(now);
        if (record == NULL)
            return;
    }
    log_fill(record, RAW_WIDE_SIZE, 0, size);
    record = log_reserve(now);
    if (record != NULL)
        log_fill(record, op, address, log_payload(RAW_WIDE, now));
}

/* Finds out whether the next calls may go the short way: before the time that they may share. */
void log_write(enum raw_op op, uint64_t address, uint64_t size)
{
    uint64_t control = log_control();
    bool is_short = log_is_plain && log_is_tsc && log_level() == RAW_ALL;
    log_thread.control = is_short ? control : 0;
    if (size >= RAW_WIDE) {
        write_wide(op, address, size);
        return;
    }
    uint64_t now = log_now();
    struct raw_record *record = log_reserve(now);
    if (record != NULL)
        log_fill(record, op, address, log_payload(size, now));
}

void log_write_join(uint64_t self, uint64_t began)
{
    write_wide(RAW_JOIN, self, began);
}

/* ---- counts ---------------------------------------------------------------------------------- */

void log_count_failed(void)
{
    if (log_level() != RAW_ALL)
        return;
    struct raw_segment *segment = log_thread.segment;
    if (segment != NULL)
        segment->failed_calls++;
    else
        atomic_fetch_add(&process->failed_calls, 1);
}

void log_count_null_free(void)
{
    if (log_level() != RAW_ALL)
        return;
    struct raw_segment *segment = log_thread.segment;
    if (segment != NULL)
        segment->null_frees++;
    else
        atomic_fetch_add(&process->null_frees, 1);
}

uint32_t log_thread_number(void)
{
    struct log_thread *t = &log_thread;
    if (log_level() == RAW_OFF)
        return 0;
    if (t->segment == NULL) {
        uint64_t now = log_now();
        struct raw_record *record = log_reserve(now);
        if (record != NULL)
            log_fill(record, RAW_NOTHING, 0, 0);
    }
    return t->segment != NULL ? t->thread + 1 : 0;
}
