#include "runner/progress.h"

#include "trial/clock.h"
#include "util/parse.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_start(struct progress *p, const char *what, uint32_t total)
{
    *p = (struct progress){.what = what, .total = total, .is_terminal = isatty(STDERR_FILENO)};
    p->start_ns = p->last_line_ns = clock_gettime_ns(CLOCK_MONOTONIC);
}

static uint64_t time_left_ns(const struct progress *p, uint64_t estimate_ns, uint64_t now)
{
    enum { ENOUGH = 10 };
    if (p->done < ENOUGH)
        return estimate_ns;
    return (now - p->start_ns) / p->done * (p->total - p->done);
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void progress_step(struct progress *p, uint32_t count, const char *label, uint64_t estimate_ns)
{
    const uint64_t quiet_ns = 10000000000u; /* a plain line at most every ten seconds */
    char left[32], line[512];
    uint64_t now = clock_gettime_ns(CLOCK_MONOTONIC);
    snprintf(line, sizeof line, "[%u/%u] %s left  %s %s", p->done + 1, p->total,
             format_duration(time_left_ns(p, estimate_ns, now), left), p->what, label);
    if (p->is_terminal)
        fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
    else if (p->done == 0 || now - p->last_line_ns >= quiet_ns) {
        fprintf(stderr, "%s\n", line);
        p->last_line_ns = now;
    }
    p->done += count;
}

void progress_end(struct progress *p)
{
    if (p->is_terminal)
        fputs("\r\033[K", stderr);
}
