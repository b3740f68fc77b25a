/*
 * What threads have written against the columns that it becomes. Most records are simple ones and take a
 * short way through the reader (stream.c), all others a longer one: both have to make the same of them,
 * in any mixture and wherever a reading ends. Here all take one way, which is the plainest.
 */
#include "raw_image.h"

#include "workloads/trace/stream.h"
#include "workloads/trace/varint.h"

enum { CASES = 2000, CALL_RECORDS_MAX = 12, SHIFT_MAX = 6, THREADS = 4 };

struct call {
    unsigned raw; /* enum raw_op */
    uint64_t address, size, time;
    bool on_new_cpu;
    uint64_t cpu, stack[4];
    unsigned stack_depth;
};

struct model {
    unsigned char columns[TRACE_COLUMNS][1 << 15];
    size_t used[TRACE_COLUMNS];
    uint32_t entries, events;
    uint64_t time, address;
};

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static bool one_in(uint32_t times)
{
    return draw(times) == 0;
}

/* ---- what a thread writes -------------------------------------------------------------------- */

static const unsigned simple[] = {RAW_MALLOC, RAW_FREE, RAW_CALLOC, RAW_REALLOC_BEGIN,
                                  RAW_REALLOC_END};

static bool allocates(const struct call *call)
{
    return call->raw == RAW_MALLOC || call->raw == RAW_CALLOC || call->raw >= RAW_ALIGNED ||
           (call->raw == RAW_REALLOC_END && call->address != 0);
}

/* Times go back now and then, where a signal handler came between. */
static struct call draw_call(uint64_t *time)
{
    struct call call = {.raw = simple[draw(5)], .address = (uint64_t)(1 + draw(1 << 30)) << 4};
    *time += one_in(200) ? UINT32_MAX : draw(3000);
    *time -= one_in(30) && *time > 5000 ? draw(5000) : 0;
    call.time = *time;
    if (one_in(8))
        call.raw = one_in(3) ? RAW_JOIN : RAW_ALIGNED + draw(20);
    if (one_in(6))
        call.address += draw(16);
    if (call.raw == RAW_REALLOC_END && one_in(4))
        call.address = 0;
    if (call.raw == RAW_JOIN || allocates(&call))
        call.size = (uint64_t)draw(1 << 30) << (one_in(10) ? draw(12) : 0) >> draw(30);
    call.on_new_cpu = call.raw != RAW_JOIN && one_in(40);
    call.cpu = (uint64_t)draw(3) << 32 | draw(100);
    call.stack_depth = allocates(&call) && one_in(20) ? 1 + draw(4) : 0;
    for (unsigned i = 0; i < call.stack_depth; i++)
        call.stack[i] = 1 + draw(1 << 30);
    return call;
}

/* Records that mean nothing: not written, from another lap, or not needed after all. */
static void write_nothing(struct raw_image *image)
{
    if (one_in(3)) {
        raw_image_put(image, 0, RAW_NONE, 0, 0);
    } else if (one_in(2)) {
        raw_image_add(image, 0, draw(1000), RAW_MALLOC, 16, 1);
        image->cursors[0][-1].head ^= (uint64_t)(1 + draw(255)) << 8;
    } else {
        raw_image_put(image, 0, RAW_NOTHING, 0, 0);
    }
}

static void write_call(struct raw_image *image, const struct call *call, uint64_t *epoch)
{
    bool is_wide = call->raw == RAW_JOIN || call->size >= RAW_WIDE || one_in(50);
    if (one_in(20))
        write_nothing(image);
    if (call->time >> 32 != *epoch)
        raw_image_put(image, 0, RAW_EPOCH, 0, *epoch = call->time >> 32);
    if (call->on_new_cpu)
        raw_image_put(image, 0, RAW_CPU, 0, call->cpu);
    for (unsigned i = 0; i < call->stack_depth; i += 2)
        raw_image_put(image, 0, RAW_STACK, call->stack[i],
                      i + 1 < call->stack_depth ? call->stack[i + 1] : 0);
    if (is_wide)
        raw_image_put(image, 0, RAW_WIDE_SIZE, 0, call->size);
    raw_image_add(image, 0, call->time, (enum raw_op)call->raw, call->address,
                  is_wide ? RAW_WIDE : call->size);
}

/* A full segment; returns the number of calls. */
static size_t write_segment(struct raw_image *image, struct call *calls)
{
    const struct raw_record *end = raw_records(image->segments[0]) + SMALL_RECORDS;
    uint64_t time = draw(100000), epoch = 0;
    size_t count = 0;
    while (image->cursors[0] + CALL_RECORDS_MAX < end) {
        calls[count] = draw_call(&time);
        write_call(image, &calls[count++], &epoch);
    }
    image->segments[0]->state = RAW_SEGMENT_FULL;
    return count;
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void put(struct model *m, enum trace_column column, uint64_t value)
{
    unsigned char *at = m->columns[column] + m->used[column];
    m->used[column] += (size_t)(varint_put(at, value) - at);
}

/* Of threads that can be joined there are a few; the first one is who joins. */
static uint32_t find_joined(void *context, uint64_t self, uint64_t time)
{
    (void)context, (void)time;
    return self / 16 % 2 ? RAW_NOBODY : (uint32_t)(self / 32 % THREADS);
}

static unsigned op_of(const struct call *call)
{
    switch (call->raw) {
    case RAW_MALLOC: return TRACE_MALLOC;
    case RAW_CALLOC: return TRACE_CALLOC;
    case RAW_FREE: return TRACE_FREE;
    case RAW_REALLOC_BEGIN: return RECORDED_REALLOC_BEGIN;
    case RAW_REALLOC_END: return call->address ? TRACE_REALLOC : RECORDED_REALLOC_FAILED;
    case RAW_JOIN: return TRACE_JOIN;
    default: return TRACE_ALIGNED;
    }
}

static void put_described(struct model *m, const struct call *call)
{
    if (call->on_new_cpu) {
        put(m, COLUMN_EXTRA, (uint32_t)call->cpu);
        put(m, COLUMN_EXTRA, call->cpu >> 32);
    }
    if (call->stack_depth > 0)
        put(m, COLUMN_EXTRA, call->stack_depth);
    for (unsigned i = 0; i < call->stack_depth; i++)
        put(m, COLUMN_EXTRA, call->stack[i]);
}

static void put_address(struct model *m, uint64_t address)
{
    put(m, COLUMN_OBJECT, trace_zigzag((int64_t)(address >> 4) - (int64_t)(m->address >> 4)));
    if (address % 16 != 0)
        put(m, COLUMN_OBJECT, address % 16);
    m->address = address;
}

static void put_call(struct model *m, const struct stream_clock *clock, const struct call *call)
{
    unsigned op = op_of(call), flags = 0;
    uint32_t joined = op == TRACE_JOIN ? find_joined(NULL, call->address, 0) : RAW_NOBODY;
    if (op == TRACE_JOIN && (joined == RAW_NOBODY || joined == 0))
        return;
    uint64_t now =
        call->time < clock->base_ticks ? 0 : (call->time - clock->base_ticks) >> clock->time_shift;
    now = now > m->time ? now : m->time;
    put(m, COLUMN_TIME, now - m->time);
    m->time = now;
    if (op == TRACE_JOIN) {
        put(m, COLUMN_OBJECT, joined);
    } else if (op != RECORDED_REALLOC_FAILED) {
        put_address(m, call->address);
        flags |= call->address % 16 != 0 ? OP_ODD_ADDRESS : 0;
    }
    put_described(m, call);
    flags |= (call->on_new_cpu ? OP_CPU : 0) | (call->stack_depth > 0 ? OP_STACK : 0);
    if (allocates(call))
        put(m, COLUMN_SIZE, call->size);
    if (op == TRACE_ALIGNED)
        put(m, COLUMN_SIZE, call->raw - RAW_ALIGNED);
    put(m, COLUMN_OP, op | flags);
    m->entries++;
    m->events += op != RECORDED_REALLOC_BEGIN && op != RECORDED_REALLOC_FAILED;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void compare(unsigned number, const struct stream *s, const struct model *m)
{
    assert_int_equal(s->entries, m->entries);
    assert_int_equal(s->events, m->events);
    for (int i = 0; i < TRACE_COLUMNS; i++)
        if (s->columns[i].used != m->used[i] ||
            (m->used[i] > 0 && memcmp(s->columns[i].bytes, m->columns[i], m->used[i]) != 0))
            fail_msg("case %u: column %d differs", number, i);
}

static void read_case(unsigned number)
{
    static struct call calls[SMALL_RECORDS];
    static struct model model;
    struct stream stream = {.first_time = UINT64_MAX};
    random_state = number;
    struct raw_image *image = raw_image_of(1);
    size_t count = write_segment(image, calls), next = 0;
    struct stream_clock clock = {draw(1000000), draw(100), draw(SHIFT_MAX)};
    model = (struct model){.time = clock.time_first};
    assert_int_equal(stream_add(&stream, image->segments[0], 0), 0);
    for (uint64_t end = 0; next < count;) {
        end = one_in(4) ? UINT64_MAX : calls[next + draw((uint32_t)(count - next))].time;
        assert_int_equal(stream_read(&stream, &clock, end, find_joined, NULL), 0);
        for (; next < count && calls[next].time < end; next++)
            put_call(&model, &clock, &calls[next]);
        compare(number, &stream, &model);
    }
    stream_release(&stream);
    raw_image_release(image);
}

static void random_segments(void **state)
{
    (void)state;
    for (unsigned number = 0; number < CASES; number++)
        read_case(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_segments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
