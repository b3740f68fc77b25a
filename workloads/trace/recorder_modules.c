/*
 * Which files the program's code comes from, and where they lie in memory: what turns the return
 * addresses of a recording with stacks into functions. The kernel's own list is copied to a file
 * beside the raw one; it goes beside the trace when that is finished.
 *
 * This runs inside a call of the program's, at any moment: between the steps of its setenv() too, which
 * moves `environ`, and on whatever stack it has, which may be the least that a thread may have. So no
 * environment is read here, and what is large is static.
 */
#include "workloads/trace/recorder_log.h"

#include "allocators/common/uncancelled.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of the one thread that has `saving_modules`. */
static char wanted[PATH_MAX], fresh[PATH_MAX], bytes[RAW_PAGE_BYTES];

/* "RAW.12.maps", without the C library's help, which might allocate. False: the name is too long. */
static bool make_path(char path[PATH_MAX], uint32_t process)
{
    char digits[16];
    size_t length = strlen(log_raw_path), count = 0;
    if (length + sizeof digits + sizeof RAW_MAPS_SUFFIX + sizeof RAW_MAPS_NEW >= PATH_MAX)
        return false;
    memcpy(path, log_raw_path, length);
    do
        digits[count++] = (char)('0' + process % 10);
    while ((process /= 10) > 0);
    path[length++] = '.';
    while (count > 0)
        path[length++] = digits[--count];
    memcpy(path + length, RAW_MAPS_SUFFIX, sizeof RAW_MAPS_SUFFIX);
    return true;
}

/*
 * True when something was read, and all of it stands in the copy. Beyond the program's limit for
 * files a write would be a signal to the program.
 */
static bool copy(int from, int to)
{
    struct rlimit limit;
    rlim_t total = 0;
    ssize_t got = -1;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    while ((got = uncancelled_read(from, bytes, sizeof bytes)) > 0) {
        total += (rlim_t)got;
        if (total > limit.rlim_cur || uncancelled_write(to, bytes, (size_t)got) != got)
            return false;
    }
    return got == 0 && total > 0;
}

/*
 * The list of a process that is ending is empty, and this may be its last moment: an older list stays
 * until there is a better one.
 */
static void save(const char *path)
{
    strcpy(fresh, path);
    strcat(fresh, RAW_MAPS_NEW);
    /* The main thread may be gone. */
    int from = uncancelled_open("/proc/thread-self/maps", O_RDONLY);
    int to = from >= 0 ? uncancelled_open(fresh, O_WRONLY | O_CREAT | O_TRUNC) : -1;
    if (to >= 0) {
        bool good = copy(from, to);
        uncancelled_close(to);
        if (!good || rename(fresh, path) != 0)
            unlink(fresh);
    }
    if (from >= 0)
        uncancelled_close(from);
}

/*
 * One thread at a time; another one that comes meanwhile leaves it at that, and so does a child of
 * vfork(), whose memory this is too. A child of fork() is not kept out by a thread that it does not
 * have: its page with the flag is zero. What fails here, as in a chroot(), costs the names and nothing
 * else.
 */
void log_save_modules(uint32_t process)
{
    if (log_confined > 0 || atomic_exchange(&log_guard.saving_modules, 1) != 0)
        return;
    if (log_confined == 0 && make_path(wanted, process)) /* log_confine() waits from here on */
        save(wanted);
    log_guard.saving_modules = 0;
}
