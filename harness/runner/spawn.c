#include "runner/spawn.h"

#include "runner/child.h"
#include "runner/seats.h"
#include "util/errno_text.h"
#include "util/paths.h"
#include "util/say.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

volatile int spawner_interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    spawner_interrupted = 1;
}

const char *trial_status_name(enum trial_status status)
{
    static const char *const names[] = {[TRIAL_RUNNING] = "running",
#define X(NAME, text) [TRIAL_##NAME] = text,
                                        TRIAL_STATUSES(X)
#undef X
    };
    return names[status];
}

/* ---- seats ----------------------------------------------------------------------------------- */

/* The longest that a seat's memory can get; only what a trial needs is given to it. */
static size_t mapped_bytes(void)
{
    const struct trial_spec longest = {.turns = TRIAL_TURNS_MAX, .work_timeline = 1};
    return trial_shared_bytes(&longest);
}

static int open_seat(struct seat *seat)
{
    seat->fd = memfd_create("heapmark-trial", MFD_CLOEXEC);
    if (seat->fd < 0)
        return -errno;
    seat->shared = mmap(NULL, mapped_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, seat->fd, 0);
    if (seat->shared == MAP_FAILED || ftruncate(seat->fd, sizeof *seat->shared) != 0) {
        int error = errno;
        if (seat->shared != MAP_FAILED)
            munmap(seat->shared, mapped_bytes());
        close(seat->fd);
        return -error;
    }
    return 0;
}

int spawner_reserve(struct spawner *s, uint32_t count)
{
    if (count <= s->seat_count)
        return 0;
    struct seat *grown = realloc(s->seats, count * sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    s->seats = grown;
    for (; s->seat_count < count; s->seat_count++) {
        int error = open_seat(&s->seats[s->seat_count]);
        if (error != 0) {
            say_error("cannot make shared memory for trials: %s", errno_text(-error));
            return error;
        }
    }
    return 0;
}

int spawner_open(struct spawner **result)
{
    struct spawner *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    int error = spawner_reserve(s, 1);
    if (error == 0 && paths_trial(s->program, sizeof s->program) != 0) {
        say_error(
            "'heapmark-trial' is not beside heapmark nor in its libexec; build or install again");
        error = -ENOENT;
    }
    if (error != 0) {
        spawner_close(s);
        return error;
    }
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *result = s;
    return 0;
}

void spawner_close(struct spawner *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->seat_count; i++) {
        munmap(s->seats[i].shared, mapped_bytes());
        close(s->seats[i].fd);
    }
    free(s->seats);
    free(s);
}

struct trial_spec *spawner_spec(struct spawner *s, uint32_t seat, struct clock_scale clock)
{
    struct trial_shared *shared = s->seats[seat].shared;
    memset(shared, 0, sizeof *shared);
    shared->spec.magic = TRIAL_MAGIC;
    shared->spec.version = TRIAL_VERSION;
    shared->spec.clock = clock;
    return &shared->spec;
}

/* ---- running --------------------------------------------------------------------------------- */

int spawner_run(struct spawner *s, uint32_t seat, const struct trial_request *request,
                struct trial_outcome *outcome)
{
    struct child child;
    int error = child_start(s, seat, request, &child);
    if (error != 0)
        return error;
    enum child_news news;
    while ((news = child_watch(&child)) == CHILD_WAITS)
        child_release(&child); /* nobody else wants the CPU */
    child_end(&child, news == CHILD_ENDED ? outcome : NULL);
    return news == CHILD_ENDED ? 0 : -EINTR;
}
