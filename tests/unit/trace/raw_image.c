#include "raw_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LAP = 7 };

struct raw_header *raw_image_header(struct raw_image *image)
{
    return (struct raw_header *)image->bytes;
}

struct raw_image *raw_image_new(void)
{
    struct raw_image *image = calloc(1, sizeof *image);
    image->segment_bytes = RAW_SEGMENT_BYTES_SMALL;
    image->bytes =
        mmap(NULL, RAW_IMAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(image->bytes, MAP_FAILED);
    *raw_image_header(image) = (struct raw_header){.magic = RAW_MAGIC,
                                                   .version = RAW_VERSION,
                                                   .file_bytes = RAW_IMAGE_BYTES,
                                                   .sample = 1,
                                                   .processes = 1,
                                                   .next = RAW_FIRST_SEGMENT};
    *raw_process(raw_image_header(image), 0) = (struct raw_process){.pid = 1};
    return image;
}

/* ---- what threads write ---------------------------------------------------------------------- */

void raw_image_begin_of(struct raw_image *image, uint32_t thread, uint64_t self, uint32_t sequence,
                        uint32_t parent)
{
    struct raw_header *header = raw_image_header(image);
    struct raw_segment *segment = (struct raw_segment *)(image->bytes + header->next);
    header->next += image->segment_bytes;
    if (raw_process(header, 0)->threads <= thread)
        raw_process(header, 0)->threads = thread + 1;
    *segment = (struct raw_segment){.state = RAW_SEGMENT_USED,
                                    .bytes = image->segment_bytes,
                                    .lap = LAP,
                                    .thread = thread,
                                    .self = self,
                                    .parent = parent,
                                    .sequence = sequence};
    image->segments[thread] = segment;
    image->cursors[thread] = raw_records(segment);
    raw_announce(header, segment);
    raw_image_put(image, thread, RAW_EPOCH, 0, 0);
}

void raw_image_begin(struct raw_image *image, uint32_t thread, uint64_t self, uint32_t sequence)
{
    raw_image_begin_of(image, thread, self, sequence, RAW_NOBODY);
}

struct raw_image *raw_image_of(uint32_t threads)
{
    struct raw_image *image = raw_image_new();
    for (uint32_t i = 0; i < threads; i++)
        raw_image_begin(image, i, i + 1, 0);
    return image;
}

void raw_image_put(struct raw_image *image, uint32_t thread, enum raw_op op, uint64_t address,
                   uint64_t payload)
{
    struct raw_record *record = image->cursors[thread]++;
    record->payload = payload;
    record->head = op == RAW_NONE ? 0 : address << 16 | image->segments[thread]->lap << 8 | op;
}

void raw_image_add(struct raw_image *image, uint32_t thread, uint64_t time, enum raw_op op,
                   uint64_t address, uint64_t size)
{
    raw_image_put(image, thread, op, address, size << 32 | (uint32_t)time);
}

void raw_image_go_on(struct raw_image *image, uint32_t thread)
{
    struct raw_segment *segment = image->segments[thread];
    if (image->cursors[thread] < raw_records(segment) + raw_record_count(segment))
        return;
    segment->state = RAW_SEGMENT_FULL;
    raw_image_begin_of(image, thread, segment->self, segment->sequence + 1, segment->parent);
}

void raw_image_allocate(struct raw_image *image, uint32_t thread, uint64_t time, uint64_t step,
                        uint64_t count)
{
    for (uint64_t end = time + count * step; time < end; time += step) {
        raw_image_go_on(image, thread);
        image->allocated++;
        raw_image_add(image, thread, time, RAW_MALLOC, ALLOCATED + 16 * image->allocated,
                      image->allocated);
    }
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

/* Compares the events at the beginning. */
static struct trace_reader *read_first(const char *path, const struct expected *expected,
                                       size_t count)
{
    char error[512];
    struct trace_reader *reader;
    if (trace_reader_open(&reader, path, error, sizeof error) != 0)
        fail_msg("%s", error);
    struct trace_event event;
    for (size_t i = 0; i < count; i++) {
        if (trace_reader_next(reader, &event) != TRACE_EVENT)
            fail_msg("event %zu is missing: %s", i, trace_reader_error(reader));
        bool threads = event.op == TRACE_SPAWN || event.op == TRACE_JOIN;
        uint32_t other = threads ? event.other : event.slot;
        if (event.op != expected[i].op || event.thread != expected[i].thread ||
            other != expected[i].slot_or_other || event.size != expected[i].size ||
            event.time != expected[i].time / TICK)
            fail_msg("event %zu is op %d, thread %u, slot %u, size %lu, time %lu", i, event.op,
                     event.thread, other, event.size, event.time * TICK);
    }
    return reader;
}

void raw_image_check_first(const char *path, const struct expected *expected, size_t count)
{
    trace_reader_close(read_first(path, expected, count));
}

struct trace_file_header raw_image_check(const char *path, const struct expected *expected,
                                         size_t count)
{
    struct trace_event event;
    struct trace_reader *reader = read_first(path, expected, count);
    if (trace_reader_next(reader, &event) != TRACE_END)
        fail_msg("it does not end: %s", trace_reader_error(reader));
    struct trace_file_header header = *trace_reader_header(reader);
    trace_reader_close(reader);
    return header;
}

static int make_file(void *context, uint32_t process, bool again)
{
    (void)process;
    return open(((struct raw_image *)context)->path, again ? O_RDWR : O_RDWR | O_TRUNC);
}

struct drain *raw_image_drain(struct raw_image *image)
{
    struct drain *drain;
    if (image->path == NULL)
        image->path = fixture_path();
    assert_int_equal(drain_open(&drain, raw_image_header(image),
                                (struct drain_hooks){make_file, image}),
                     0);
    return drain;
}

uint64_t raw_image_finish(struct drain *drain)
{
    uint64_t bytes, events;
    assert_int_equal(drain_finish(drain, 0, 0, &bytes, &events), 0);
    drain_release(drain);
    return events;
}

void raw_image_check_told(uint64_t told, const struct trace_file_header *read)
{
    assert_int_equal(told, read->events - read->lost_frees + read->unknown_frees);
}

struct trace_file_header raw_image_convert(struct raw_image *image, const struct expected *expected,
                                           size_t count)
{
    uint64_t told = raw_image_finish(raw_image_drain(image));
    struct trace_file_header header = raw_image_check(image->path, expected, count);
    raw_image_check_told(told, &header);
    raw_image_release(image);
    return header;
}

void raw_image_release(struct raw_image *image)
{
    if (image->path != NULL)
        fixture_remove(image->path);
    munmap(image->bytes, RAW_IMAGE_BYTES);
    free(image);
}
