/* A raw recording made by hand, as threads would have left it, and the trace that comes of it. */
#ifndef HEAPMARK_TESTS_TRACE_RAW_IMAGE_H
#define HEAPMARK_TESTS_TRACE_RAW_IMAGE_H

#include "fixture.h"

#include "workloads/trace/drain.h"

enum {
    RAW_IMAGE_BYTES = 2048 * RAW_PAGE_BYTES,
    ALLOCATED = 1 << 20, /* an address */
    SLACK = 2000,
    SMALL_RECORDS =
        (RAW_SEGMENT_BYTES_SMALL - sizeof(struct raw_segment)) / sizeof(struct raw_record),
    SHIFT = 4, /* a clock of 1 GHz becomes one of 62.5 MHz */
    TICK = 1 << SHIFT,
};

/* With no time between its two clock readings, the recording's clock counts nanoseconds. */
struct raw_image {
    unsigned char *bytes;
    struct raw_segment *segments[8]; /* by thread, the one that it writes to */
    struct raw_record *cursors[8];
    uint32_t segment_bytes; /* of those that are begun from here on: small at first */
    uint64_t allocated;     /* by raw_image_allocate() */
    char *path;             /* of the trace */
};

struct raw_image *raw_image_new(void);

/* The same with the first segments of threads 0, 1, ..., whose pthread_t are 1, 2, ... */
struct raw_image *raw_image_of(uint32_t threads);

struct raw_header *raw_image_header(struct raw_image *image);

/* The thread's next segment; `parent` is who started it, RAW_NOBODY if it is not known. */
void raw_image_begin_of(struct raw_image *image, uint32_t thread, uint64_t self, uint32_t sequence,
                        uint32_t parent);
void raw_image_begin(struct raw_image *image, uint32_t thread, uint64_t self, uint32_t sequence);

/* A record as it is; one of RAW_NONE was reserved and not written. */
void raw_image_put(struct raw_image *image, uint32_t thread, enum raw_op op, uint64_t address,
                   uint64_t payload);

/* An event's record. */
void raw_image_add(struct raw_image *image, uint32_t thread, uint64_t time, enum raw_op op,
                   uint64_t address, uint64_t size);

/* When the thread's segment is full, its next one. */
void raw_image_go_on(struct raw_image *image, uint32_t thread);

/*
 * So many allocations of the thread, one every `step` from `time` on, in as many segments as they need: the
 * image's n-th one is of n bytes, at ALLOCATED + 16 * n.
 */
void raw_image_allocate(struct raw_image *image, uint32_t thread, uint64_t time, uint64_t step,
                        uint64_t count);

struct drain *raw_image_drain(struct raw_image *image);

/* The drain's end; the number of events that it tells. */
uint64_t raw_image_finish(struct drain *drain);

struct expected {
    enum trace_op op;
    uint32_t thread, slot_or_other;
    uint64_t size, time;
};

/* Reads the trace and compares; returns its header. */
struct trace_file_header raw_image_check(const char *path, const struct expected *expected,
                                         size_t count);

/* The same for the events at its beginning. */
void raw_image_check_first(const char *path, const struct expected *expected, size_t count);

/* What the drain tells is what was read, but for frees that were lost or are of unknown objects. */
void raw_image_check_told(uint64_t told, const struct trace_file_header *read);

/* All of this, from the raw recording to the end. */
struct trace_file_header raw_image_convert(struct raw_image *image, const struct expected *expected,
                                           size_t count);

#define CONVERT(image, ...)                                          \
    raw_image_convert(image, (const struct expected[]){__VA_ARGS__}, \
                      sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

void raw_image_release(struct raw_image *image);

#endif
