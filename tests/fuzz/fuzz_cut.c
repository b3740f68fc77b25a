/*
 * Fuzz target: whatever sound trace is cut wherever, the part is a sound trace, its live bytes are
 * those of the whole, and `info` agrees with both. The first bytes say where to cut, the rest is a
 * list of events.
 */
#include "fuzz.h"

#include "workloads/trace/cut.h"
#include "workloads/trace/info.h"
#include "workloads/trace/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 5, HEAD_BYTES = 4 };

/* A file in memory, by a path that can be opened. */
static int open_memory(char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* A few ticks, and now and then up to the end of time. */
static uint64_t step_of(const uint8_t *data)
{
    return (uint64_t)(data[3] % 8) << (data[1] % 32 == 31 ? data[2] % 62 : 0);
}

static struct trace_event event_of(const uint8_t *data, uint64_t time)
{
    static const uint64_t stack[] = {1, 2, 3};
    enum trace_op op = (enum trace_op)(data[0] % 8);
    return (struct trace_event){.op = op,
                                .thread = data[0] / 8 % THREADS,
                                .other = data[1] % THREADS,
                                .slot = data[1] % 64,
                                .moved = op == TRACE_REALLOC && data[3] % 2,
                                .alignment_log2 = data[3] % 48,
                                .size = (uint64_t)data[2] << data[3] % 32,
                                .on_new_cpu = data[3] % 16 == 3,
                                .cpu = data[1],
                                .stack = stack,
                                .stack_depth = trace_allocates(op) ? data[3] / 64 : 0,
                                .time = time + step_of(data)};
}

static void check_info(const char *path, uint64_t events)
{
    static struct trace_info info;
    struct trace_details details = {0};
    char error[512];
    uint64_t sum = 0, kept = 0;
    require(trace_info_read_details(&info, &details, path, error, sizeof error) == 0);
    for (uint32_t i = 0; i < info.live.count; i++)
        sum += info.live.bins[i].events;
    require(sum == events && info.header.events == events);
    for (uint32_t i = 0; i < info.header.threads; i++)
        kept += details.threads[i].kept_bytes;
    require(kept == info.header.live_bytes_end);
    trace_details_release(&details);
}

static void try_cut(const char *path, const struct cut_request *request, uint64_t events)
{
    char part[64], error[512] = "";
    struct cut_result result;
    int fd = open_memory(part);
    if (trace_cut(path, request, fd, &result, error, sizeof error) != 0) {
        require(error[0] != '\0');
    } else {
        require(result.events > 0 && result.events - result.front_events <= events);
        check_info(part, result.events);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[64];
    if (bytes < HEAD_BYTES)
        return 0;
    int fd = open_memory(path);
    uint64_t events = write_events(fd, THREADS, data + HEAD_BYTES, bytes - HEAD_BYTES, event_of);
    struct cut_request request = {.from_ns = data[0],
                                  .to_ns = data[1] > 0 ? data[0] + data[1] : UINT64_MAX,
                                  .thread = data[2] % (THREADS + 1) - 1,
                                  .steady = data[3] % 4 == 0};
    if (request.steady) {
        request.from_ns = 0;
        request.to_ns = UINT64_MAX;
    }
    if (events > 0) {
        check_info(path, events);
        try_cut(path, &request, events);
    }
    close(fd);
    return 0;
}
