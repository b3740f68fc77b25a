/*
 * The page cache keeps a library's pages where they came to lie when it was written or first read, and all trials of
 * a run would share that place. It matters: of one file twice, the copy that the linker had written took 1.20 of the
 * other one's time in `batch`, as long as its pages stayed. So each block draws them anew, as it does the place of the
 * stack: what is left of it is noise between blocks, which the interval tells, instead of a difference that is none.
 */
#include "runner/anew.h"

#include <fcntl.h>
#include <unistd.h>

void anew_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;    /* the trial says so */
    fdatasync(fd); /* pages that are still to be written stay */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

void anew_contenders(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->contender_count; i++)
        if (plan->contenders[i].is_preloaded)
            anew_file(plan->contenders[i].path);
}
