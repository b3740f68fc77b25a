/*
 * Writes the trace of a program that never was, for the replayer's own floor:
 *
 *   make_floor FILE [EVENTS]           one thread, 1,000 live blocks of 16 to 24 bytes, of which
 *                                      one at random is replaced by a new one over and over
 *   make_floor FILE EVENTS handover    one thread allocates, another one frees, 1,000 behind
 *
 * The blocks are small and few because libhm_null.so, over which the floor is taken, never uses
 * memory again: with large ones the figure would be that of the memory, not of the replayer.
 *
 * Always the same events: a million if not said otherwise. So that the file stays small, the sizes
 * are a random sequence of 1,000 that comes again and again.
 */
#include "workloads/trace/writer.h"

#include "include/workload.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LIVE = 1000, EVENTS = 1000000, TICKS = 10 };

struct making {
    struct trace_writer *writer;
    uint64_t events, time;
    uint64_t sizes[LIVE];
    uint32_t slots[LIVE];
};

/* Where the event's block lies is in *slot afterwards. */
static int add(struct making *m, struct trace_event event, uint32_t *slot)
{
    event.time = m->time += TICKS;
    int error = trace_writer_add(m->writer, &event);
    *slot = event.slot;
    return error;
}

static int write_alone(struct making *m)
{
    uint64_t rng = 1;
    int error = 0;
    for (uint32_t i = 0; i < LIVE && error == 0; i++) {
        m->sizes[i] = 16 + rng_below(&rng, 9);
        error = add(m, (struct trace_event){.op = TRACE_MALLOC, .size = m->sizes[i]}, &m->slots[i]);
    }
    for (uint64_t i = 0; i < (m->events - 2 * LIVE) / 2 && error == 0; i++) {
        uint32_t place = (uint32_t)rng_below(&rng, LIVE), ignored;
        error = add(m, (struct trace_event){.op = TRACE_FREE, .slot = m->slots[place]}, &ignored);
        if (error == 0)
            error = add(m, (struct trace_event){.op = TRACE_MALLOC, .size = m->sizes[i % LIVE]},
                        &m->slots[place]);
    }
    for (uint32_t i = 0; i < LIVE && error == 0; i++)
        error = add(m, (struct trace_event){.op = TRACE_FREE, .slot = m->slots[i]}, &m->slots[i]);
    return error;
}

static int write_handover(struct making *m)
{
    int error = 0;
    for (uint64_t i = 0; i < m->events / 2 + LIVE && error == 0; i++) {
        uint32_t *slot = &m->slots[i % LIVE], ignored;
        if (i >= LIVE)
            error = add(m, (struct trace_event){.op = TRACE_FREE, .thread = 1, .slot = *slot},
                        &ignored);
        if (i < m->events / 2 && error == 0)
            error = add(m, (struct trace_event){.op = TRACE_MALLOC, .size = 16 + i % 9}, slot);
    }
    return error;
}

int main(int argc, char **argv)
{
    static const char command[] = "make_floor";
    static struct making making;
    bool handover = argc == 4 && strcmp(argv[3], "handover") == 0;
    making.events = argc > 2 ? strtoull(argv[2], NULL, 10) : EVENTS;
    int fd = -1;
    if (making.events >= 2 * LIVE && (argc == 2 || argc == 3 || handover))
        fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 ||
        trace_writer_open(&making.writer, fd, handover ? 2 : 1, command, sizeof command) != 0) {
        fprintf(stderr, "usage: make_floor FILE [EVENTS [handover]]\n");
        return 2;
    }
    int error = handover ? write_handover(&making) : write_alone(&making);
    if (error == 0)
        error =
            trace_writer_finish(making.writer, &(struct trace_file_header){.ticks_hz = 1000000000});
    trace_writer_release(making.writer);
    close(fd);
    return error != 0;
}
