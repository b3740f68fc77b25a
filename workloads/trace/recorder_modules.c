/*
 * Which files the program's code comes from, and where they lie in memory: what turns the return
 * addresses of a recording with stacks into functions. The kernel's own list is copied to a file
 * beside the raw one; it goes beside the trace when that is finished.
 */
#include "workloads/trace/recorder_log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "RAW.12.maps", without the C library's help, which might allocate. False: the name is too long. */
static bool make_path(char path[PATH_MAX], uint32_t process)
{
    const char *raw = getenv(RAW_ENV);
    char digits[16];
    size_t length = raw != NULL ? strlen(raw) : PATH_MAX, count = 0;
    if (length + sizeof digits + sizeof RAW_MAPS_SUFFIX >= PATH_MAX)
        return false;
    memcpy(path, raw, length);
    do
        digits[count++] = (char)('0' + process % 10);
    while ((process /= 10) > 0);
    path[length++] = '.';
    while (count > 0)
        path[length++] = digits[--count];
    memcpy(path + length, RAW_MAPS_SUFFIX, sizeof RAW_MAPS_SUFFIX);
    return true;
}

static void copy(int from, int to)
{
    char bytes[RAW_PAGE_BYTES];
    ssize_t got;
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        if (write(to, bytes, (size_t)got) != got)
            break;
}

/*
 * One thread at a time; another one that comes meanwhile leaves it at that. What fails here, as in
 * a chroot(), costs the names and nothing else.
 */
void log_save_modules(uint32_t process)
{
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    char path[PATH_MAX];
    if (atomic_flag_test_and_set(&busy))
        return;
    int from = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    int to = from >= 0 && make_path(path, process)
                 ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                 : -1;
    if (to >= 0) {
        copy(from, to);
        close(to);
    }
    if (from >= 0)
        close(from);
    atomic_flag_clear(&busy);
}
