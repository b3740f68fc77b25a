/*
 * Writes the trace of a program that never was, for the replayer's own floor: one thread, a
 * million events, 1,000 live blocks of 16 to 24 bytes, of which one at random is replaced by a new
 * one over and over. make_floor FILE
 *
 * The blocks are small and few because libhm_null.so, over which the floor is taken, never uses
 * memory again: with large ones the figure would be that of the memory, not of the replayer.
 *
 * Always the same events. So that the file stays small, the sizes are a random sequence of 1,000
 * that comes again and again.
 */
#include "workloads/trace/writer.h"

#include "include/workload.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LIVE = 1000, EVENTS = 1000000, TICKS = 10 };

static int add(struct trace_writer *writer, struct trace_event event, uint64_t *time,
               uint32_t *slot)
{
    event.time = *time += TICKS;
    int error = trace_writer_add(writer, &event);
    *slot = event.slot;
    return error;
}

static int write_events(struct trace_writer *writer)
{
    static uint32_t slots[LIVE];
    static uint64_t sizes[LIVE];
    uint64_t rng = 1, time = 0;
    int error = 0;
    for (uint32_t i = 0; i < LIVE && error == 0; i++) {
        sizes[i] = 16 + rng_below(&rng, 9);
        error = add(writer, (struct trace_event){.op = TRACE_MALLOC, .size = sizes[i]}, &time,
                    &slots[i]);
    }
    for (uint32_t i = 0; i < (EVENTS - 2 * LIVE) / 2 && error == 0; i++) {
        uint32_t place = (uint32_t)rng_below(&rng, LIVE), ignored;
        error = add(writer, (struct trace_event){.op = TRACE_FREE, .slot = slots[place]}, &time,
                    &ignored);
        if (error == 0)
            error = add(writer, (struct trace_event){.op = TRACE_MALLOC, .size = sizes[i % LIVE]},
                        &time, &slots[place]);
    }
    for (uint32_t i = 0; i < LIVE && error == 0; i++)
        error =
            add(writer, (struct trace_event){.op = TRACE_FREE, .slot = slots[i]}, &time, &slots[i]);
    return error;
}

int main(int argc, char **argv)
{
    static const char command[] = "make_floor";
    struct trace_writer *writer;
    int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0666) : -1;
    if (fd < 0 || trace_writer_open(&writer, fd, 1, command, sizeof command) != 0) {
        fprintf(stderr, "usage: make_floor FILE\n");
        return 2;
    }
    int error = write_events(writer);
    if (error == 0)
        error = trace_writer_finish(writer, &(struct trace_file_header){.ticks_hz = 1000000000});
    trace_writer_release(writer);
    close(fd);
    return error != 0;
}
