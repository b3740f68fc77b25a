/*
 * Fuzz target: whatever a recording that was cut off has left in its raw file, bringing it to traces
 * neither crashes nor hangs, and what comes of it can be read or is refused with a reason.
 *
 * The input is a row of segments, each with its header's fields and the words at its beginning.
 * Where they lie in the file follows from their sizes: `trace recover` has found the header good.
 */
#include "fuzz.h"

#include "workloads/trace/drain.h"
#include "workloads/trace/reader.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PROCESSES = 3, ROOM = 40 * RAW_SEGMENT_BYTES_LARGE, ROUNDS = 3, COMMITS = 2 };

struct forged {
    uint8_t is_large, state, process, thread, parent, sequence, self, lap;
    uint16_t mark; /* what a drain has left there, as MARK_ says */
    uint16_t words;
};

enum { MARK_CONSUMED = 0x1fff, MARK_PENDING = 0x2000, MARK_FLAGS_SHIFT = 14 };

struct image {
    struct raw_header *header;
    int files[PROCESSES]; /* -1: none yet */
    uint32_t announced;   /* a page, which may be any */
    bool threads_meet; /* one may have started or joined another: which comes first is not told */
};

static const uint32_t states[] = {RAW_SEGMENT_NONE, RAW_SEGMENT_FREE, RAW_SEGMENT_USED,
                                  RAW_SEGMENT_FULL, RAW_SEGMENT_GONE};

/* One that holds, or one that was to hold when the drain was killed. */
static void put_mark(struct raw_segment *segment, uint16_t mark)
{
    uint32_t commit = COMMITS + (mark & MARK_PENDING ? 1 : 0), consumed = mark & MARK_CONSUMED;
    segment->marks[commit % 2] = (struct raw_mark){
        .commit = commit,
        .consumed = consumed == MARK_CONSUMED ? RAW_CONSUMED : consumed,
        .flags = mark >> MARK_FLAGS_SHIFT,
    };
}

static void put_segment(struct image *image, const struct forged *forged, const uint8_t *words)
{
    struct raw_header *header = image->header;
    uint32_t bytes = forged->is_large & 1 ? RAW_SEGMENT_BYTES_LARGE : RAW_SEGMENT_BYTES_SMALL;
    if (header->next + bytes > header->file_bytes)
        return;
    struct raw_segment *segment = (struct raw_segment *)((char *)header + header->next);
    *segment =
        (struct raw_segment){.state = states[forged->state % 5],
                             .bytes = bytes,
                             .lap = forged->lap,
                             .process = forged->process % (PROCESSES + 1),
                             .thread = forged->thread < UINT8_MAX ? forged->thread : RAW_NOBODY,
                             .sequence = forged->sequence,
                             .parent = (uint32_t)forged->parent - 1,
                             .self = forged->self,
                             .created = forged->state / 5};
    put_mark(segment, forged->mark);
    size_t room = bytes - sizeof *segment, count = (size_t)forged->words * 8;
    memcpy(segment + 1, words, count < room ? count : room);
    header->next += bytes;
    image->threads_meet |= segment->parent != RAW_NOBODY;
    for (uint32_t i = 0; i < raw_record_count(segment); i++)
        image->threads_meet |= (raw_records(segment)[i].head & 255) == RAW_JOIN;
}

static void put_segments(struct image *image, const uint8_t *data, size_t bytes)
{
    struct forged forged;
    while (bytes >= sizeof forged) {
        memcpy(&forged, data, sizeof forged);
        data += sizeof forged;
        bytes -= sizeof forged;
        if ((size_t)forged.words * 8 > bytes)
            forged.words = (uint16_t)(bytes / 8);
        put_segment(image, &forged, data);
        data += (size_t)forged.words * 8;
        bytes -= (size_t)forged.words * 8;
    }
}

/* The drain closes what it gets. */
static int open_file(void *context, uint32_t process, bool again)
{
    struct image *image = context;
    require(process < PROCESSES && again == (image->files[process] >= 0));
    if (image->files[process] < 0)
        image->files[process] = memfd_create("trace", MFD_CLOEXEC);
    require(image->files[process] >= 0);
    return dup(image->files[process]);
}

/* The drain has told `events`; the reader counts frees that were lost, and none of unknown objects. */
static void compare(const struct trace_file_header *header, uint64_t events)
{
    require(header->events == events + header->lost_frees - header->unknown_frees);
}

static void read_back(int fd, uint64_t events, bool threads_meet)
{
    char path[64], error[512] = "";
    struct trace_reader *reader;
    struct trace_event event;
    enum trace_next next;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (trace_reader_open(&reader, path, error, sizeof error) != 0) {
        require(error[0] != '\0');
        return;
    }
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        continue;
    require(next == TRACE_END || trace_reader_error(reader)[0] != '\0');
    if (next == TRACE_END && !threads_meet)
        compare(trace_reader_header(reader), events);
    trace_reader_close(reader);
}

static void drain_all(struct image *image)
{
    struct drain *drain;
    uint64_t bytes, events[PROCESSES];
    require(drain_open(&drain, image->header, (struct drain_hooks){open_file, image}) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        image->header->fresh = image->announced;
        require(drain_round(drain) >= 0);
    }
    for (uint32_t i = 0; i < PROCESSES; i++) {
        require(drain_finish(drain, i, 0, &bytes, &events[i]) == 0);
        require(bytes == 0 || image->files[i] >= 0);
    }
    drain_release(drain);
    for (uint32_t i = 0; i < PROCESSES; i++)
        if (image->files[i] >= 0) {
            read_back(image->files[i], events[i], image->threads_meet);
            close(image->files[i]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const size_t room = RAW_FIRST_SEGMENT + ROOM;
    struct image image = {.files = {-1, -1, -1}};
    image.header = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(image.header != MAP_FAILED);
    *image.header = (struct raw_header){.magic = RAW_MAGIC,
                                        .version = RAW_VERSION,
                                        .file_bytes = room,
                                        .sample = 1,
                                        .processes = PROCESSES,
                                        .next = RAW_FIRST_SEGMENT};
    for (uint32_t i = 0; i < PROCESSES; i++)
        *raw_process(image.header, i) =
            (struct raw_process){.pid = i + 1, .threads = 3, .commits = COMMITS};
    if (bytes >= 2)
        image.announced = data[0] + 256u * data[1];
    put_segments(&image, data, bytes);
    drain_all(&image);
    munmap(image.header, room);
    return 0;
}
