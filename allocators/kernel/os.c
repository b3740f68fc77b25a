#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uncancelled.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* From the system's numaif.h, which belongs to a library that is not needed for one call. */
enum { POLICY_PREFERRED = 1, NODES_OF_MASK = 64 };

enum { CPU_SEEN_FOR = 31 /* questions */ };

/* Several: other threads may take some of them while they are not there. */
enum { SPARES = 8, SPARE_BYTES = 4096 };

/* Also what tells our memfds from other files. */
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW };

static void *os_map_with(size_t bytes, int prot)
{
    int saved = errno;
    void *p = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

static void *os_reserve(size_t bytes)
{
    return os_map_with(bytes, PROT_NONE);
}

static void *os_reserve_zeros(size_t bytes)
{
    return os_map_with(bytes, PROT_READ);
}

static bool protect(void *start, size_t bytes, int prot)
{
    int saved = errno;
    bool done = mprotect(start, bytes, prot) == 0;

    errno = saved;
    return done;
}

static bool os_show_zeros(void *start, size_t bytes)
{
    return protect(start, bytes, PROT_READ);
}

static void *os_map(size_t bytes)
{
    return os_map_with(bytes, PROT_READ | PROT_WRITE);
}

static bool os_commit(void *start, size_t bytes)
{
    return protect(start, bytes, PROT_READ | PROT_WRITE);
}

static bool os_unmap(void *start, size_t bytes)
{
    int saved = errno;
    bool done = munmap(start, bytes) == 0;

    errno = saved;
    return done;
}

static bool os_purge(void *start, size_t bytes, bool shared)
{
    int saved = errno;
    bool done = madvise(start, bytes, shared ? MADV_REMOVE : MADV_DONTNEED) == 0;

    errno = saved;
    return done;
}

static bool os_populate(void *start, size_t bytes)
{
    int saved = errno;

    if (madvise(start, bytes, MADV_POPULATE_WRITE) != 0) {
        bool unknown = errno == EINVAL;

        errno = saved;
        if (!unknown)
            return false;
        /* Before Linux 5.14. The memory is ours and free: its contents do not matter. */
        for (size_t i = 0; i < bytes; i += 4096)
            *((volatile char *)start + i) = 0;
    }
    return true;
}

/* Out of the way of programs that count on low descriptors; a refusal leaves it where it is. */
static int move_up(int fd)
{
    struct rlimit limit;
    int high;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 256)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, limit.rlim_cur > 4096 ? 4000 : (int)limit.rlim_cur - 64);
    if (high < 0)
        return fd;
    uncancelled_close(fd);
    return high;
}

/* Above the limit the system would not only refuse the size, but send SIGXFSZ. */
static bool exceeds_file_size(size_t bytes)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur;
}

static bool set_size(int fd, size_t bytes)
{
    if (exceeds_file_size(bytes)) {
        errno = EFBIG;
        return false;
    }
    return ftruncate(fd, (off_t)bytes) == 0;
}

static int os_memfd(size_t bytes)
{
    int saved = errno;
    int fd = memfd_create("kmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        fd = -errno;
    } else if (!set_size(fd, bytes) || fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        int refused = -errno;

        uncancelled_close(fd);
        fd = refused;
    } else {
        fd = move_up(fd);
    }
    errno = saved;
    return fd;
}

/* The descriptor still names a memfd like ours: nobody closed it and opened another file there. */
static bool is_ours(int fd, size_t bytes)
{
    struct stat s;

    return fcntl(fd, F_GET_SEALS) == SEALS && fstat(fd, &s) == 0 && (size_t)s.st_size >= bytes;
}

static void os_close(int fd)
{
    int saved = errno;

    if (is_ours(fd, 0))
        uncancelled_close(fd);
    errno = saved;
}

static bool os_map_memfd(void *at, size_t bytes, int prot, int fd, size_t offset, void *original)
{
    int saved = errno;
    void *p = MAP_FAILED;

    if (is_ours(fd, offset + bytes)) {
        p = mmap(at, bytes, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, (off_t)offset);
    } else if (original) {
        /* With no old bytes: a second mapping of the same memory. */
        p = mremap(original, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at);
        if (p != MAP_FAILED && mprotect(at, bytes, prot) != 0)
            p = MAP_FAILED;
    }
    errno = saved;
    return p != MAP_FAILED;
}

static void *spare[SPARES];

/* Shared, lest it merge with a neighbour, when to drop it would help nobody. */
static bool keep_one(void **at)
{
    void *p, *none = NULL;

    if (__atomic_load_n(at, __ATOMIC_RELAXED))
        return true;
    p = mmap(NULL, SPARE_BYTES, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    if (!__atomic_compare_exchange_n(at, &none, p, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        munmap(p, SPARE_BYTES);
    return true;
}

void os_spare_keep(void)
{
    int saved = errno;

    for (size_t i = 0; i < SPARES && keep_one(&spare[i]); i++)
        ;
    errno = saved;
}

bool os_spare_drop(void)
{
    bool dropped = false;

    for (size_t i = 0; i < SPARES; i++) {
        void *p = __atomic_exchange_n(&spare[i], NULL, __ATOMIC_ACQ_REL);

        dropped |= p && os_unmap(p, SPARE_BYTES);
    }
    return dropped;
}

static bool map_nothing(void *at, size_t bytes)
{
    int saved = errno;
    void *p =
        mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    errno = saved;
    return p != MAP_FAILED;
}

static bool os_hide(void *at, size_t bytes)
{
    bool done = map_nothing(at, bytes);

    if (!done) {
        os_spare_drop(); /* or somebody else did just now */
        done = map_nothing(at, bytes);
    }
    if (done)
        os_spare_keep();
    return done;
}

static bool os_bind(void *start, size_t bytes, unsigned node)
{
    int saved = errno;
    unsigned long mask = 1UL << node;
    bool done = node < NODES_OF_MASK && syscall(SYS_mbind, start, bytes, POLICY_PREFERRED, &mask,
                                                NODES_OF_MASK + 1UL, 0) == 0;

    errno = saved;
    return done;
}

static bool os_membarrier(int command)
{
    int saved = errno;
    bool done = syscall(SYS_membarrier, command, 0, 0) == 0;

    errno = saved;
    return done;
}

static ssize_t os_read_text(const char *path, char *text, size_t bytes)
{
    int saved = errno;
    int fd = uncancelled_open(path, O_RDONLY);
    ssize_t n = -1;

    if (fd >= 0) {
        n = uncancelled_read(fd, text, bytes - 1);
        uncancelled_close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    errno = saved;
    return n;
}

const char *os_read_number(const char *text, unsigned *n)
{
    if (*text < '0' || *text > '9')
        return NULL;
    for (*n = 0; *text >= '0' && *text <= '9'; text++)
        *n = *n * 10 + (unsigned)(*text - '0');
    return text;
}

__thread struct cpu_seen os_cpu_seen;

/* To ask the system costs more than what the answer is for: a thread asks now and then. */
unsigned os_cpu_without_rseq(void)
{
    if (os_cpu_seen.left-- == 0) {
        int now = sched_getcpu();

        os_cpu_seen = (struct cpu_seen){now < 0 ? 0 : (unsigned)now, CPU_SEEN_FOR};
    }
    return os_cpu_seen.cpu;
}

static uint64_t os_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct kmem_os kmem_os = {
    .reserve = os_reserve,
    .reserve_zeros = os_reserve_zeros,
    .show_zeros = os_show_zeros,
    .commit = os_commit,
    .map = os_map,
    .unmap = os_unmap,
    .purge = os_purge,
    .populate = os_populate,
    .memfd = os_memfd,
    .close = os_close,
    .map_memfd = os_map_memfd,
    .hide = os_hide,
    .bind = os_bind,
    .membarrier = os_membarrier,
    .now_ms = os_clock_ms,
    .read_text = os_read_text,
};
