/*
 * Fuzz target: whatever a trace file holds, reading and loading it neither crashes nor hangs, and a
 * trace that loads gives a replay program that is sound (see simulate.h).
 *
 * Checksums would keep a fuzzer out, so the first byte says what the rest of the input is: a whole
 * file, the contents of a block in a file with good checksums, or a list of events for the writer.
 */
#include "fuzz.h"
#include "simulate.h"

#include "workloads/trace/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

/* Loads what is in the memory file; true when it is a good trace. */
static bool load_as(int fd, const struct trace_load_options *options)
{
    char path[64], error[512] = "";
    struct trace_input input;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (trace_load(path, options, &input, error, sizeof error) != 0) {
        require(error[0] != '\0');
        return false;
    }
    require(simulate(&input) == NULL);
    trace_input_release(&input);
    return true;
}

static bool load(int fd)
{
    bool good = load_as(fd, &(struct trace_load_options){.memory_bytes = SIZE_MAX});
    require(good == load_as(fd, &(struct trace_load_options){.is_serial = true, .is_paced = true}));
    return good;
}

static void put(int fd, const void *bytes, size_t count)
{
    require(write(fd, bytes, count) == (ssize_t)count);
}

/* ---- the contents of a block ----------------------------------------------------------------- */

struct forged {
    uint16_t threads, events, objects, slots;
    uint16_t flags; /* of which one bit says whether the trace is recorded or ordered */
    uint16_t column_bytes[TRACE_COLUMNS];
};

/* What a reader would refuse at once stays out: the totals of a recorded trace, and no such flags. */
static void put_header(int fd, const struct forged *forged)
{
    bool is_recorded = (forged->flags & TRACE_RECORDED) != 0;
    struct trace_file_header header = {.version = TRACE_VERSION,
                                       .header_bytes = sizeof header + sizeof(uint64_t),
                                       .threads = forged->threads,
                                       .flags = forged->flags & TRACE_FLAGS_ALL,
                                       .slack_ticks = forged->objects,
                                       .ticks_hz = UINT16_MAX * 1000,
                                       .events = is_recorded ? 0 : forged->events,
                                       .objects = is_recorded ? 0 : forged->objects,
                                       .slots = is_recorded ? 0 : forged->slots};
    memcpy(header.magic, TRACE_MAGIC, sizeof header.magic);
    uint64_t sum = trace_fnv(TRACE_FNV_BASIS, &header, sizeof header);
    put(fd, &header, sizeof header);
    put(fd, &sum, sizeof sum);
}

static void put_block(int fd, const struct forged *forged, const uint8_t *content, size_t bytes)
{
    struct trace_block_header block = {.magic = TRACE_BLOCK_MAGIC, .events = forged->events};
    size_t capacity = ZSTD_compressBound(bytes);
    void *packed = malloc(capacity);
    if (forged->events > 0) {
        block.packed_bytes = (uint32_t)ZSTD_compress(packed, capacity, content, bytes, 1);
        for (int i = 0; i < TRACE_COLUMNS; i++)
            block.column_bytes[i] = forged->column_bytes[i];
        block.frame_sum = trace_frame_sum(packed, block.packed_bytes);
    }
    block.time_end = forged->slots;
    block.checksum = trace_block_checksum(&block);
    put(fd, &block, sizeof block);
    put(fd, packed, block.packed_bytes);
    free(packed);
}

static void try_content(int fd, const uint8_t *data, size_t bytes)
{
    struct forged forged;
    if (bytes < sizeof forged)
        return;
    memcpy(&forged, data, sizeof forged);
    put_header(fd, &forged);
    put_block(fd, &forged, data + sizeof forged, bytes - sizeof forged);
    forged.slots = UINT16_MAX; /* a second one like it, later */
    if (forged.flags & TRACE_RECORDED)
        put_block(fd, &forged, data + sizeof forged, bytes - sizeof forged);
    put_block(fd, &(struct forged){0}, NULL, 0);
    load(fd);
}

/* ---- a list of events ------------------------------------------------------------------------ */

enum { THREADS = 6 };

static struct trace_event event_of(const uint8_t *data, uint64_t time)
{
    return (struct trace_event){.op = (enum trace_op)(data[0] % 8),
                                .thread = data[0] / 8 % THREADS,
                                .other = data[1] % THREADS,
                                .slot = data[1],
                                .moved = data[0] % 8 == TRACE_REALLOC && data[3] % 2,
                                .alignment_log2 = data[3] % 64,
                                .size = (uint64_t)data[2] << data[3] % 64,
                                .time = time + data[3]};
}

/* Whatever the writer takes must load. */
static void try_events(int fd, const uint8_t *data, size_t bytes)
{
    uint64_t events = write_events(fd, THREADS, data, bytes, event_of);
    require(load(fd) == (events > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0);
    switch (data[0] % 3) {
    case 0:
        put(fd, data + 1, bytes - 1);
        load(fd);
        break;
    case 1: try_content(fd, data + 1, bytes - 1); break;
    default: try_events(fd, data + 1, bytes - 1);
    }
    close(fd);
    return 0;
}
