/* When the drain goes a round: CPUs that are busy, and a backlog that may grow so far. */
#include "fixture.h"

#include "workloads/trace/recording_pace.h"

#include <sys/mman.h>
#include <unistd.h>

enum { BACKLOG = 1 << 20 };

/* Tasks that run or wait for a CPU; threads that are recorded. */
enum { ONLY_US = 1, MORE_THAN_CPUS = 5000 };

/* What the kernel would say when as many tasks run or wait. */
static struct pace pace_of(unsigned running)
{
    struct pace pace = {.loadavg_fd = memfd_create("loadavg", 0),
                        .raw_fd = -1,
                        .backlog_bytes_max = BACKLOG};
    assert_true(pace.loadavg_fd >= 0);
    assert_true(dprintf(pace.loadavg_fd, "0.52 10.58 0.59 %u/6000 12345\n", running) > 0);
    return pace;
}

/* A recording of a process with so many threads, of which so many bytes are carved off. */
static struct raw_header *raw_of(uint32_t threads, uint64_t carved)
{
    struct raw_header *header =
        mmap(NULL, RAW_FIRST_SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(header, MAP_FAILED);
    header->next = RAW_FIRST_SEGMENT + carved;
    header->processes = 1;
    raw_process(header, 0)->threads = threads;
    return header;
}

static bool allows(unsigned running, uint64_t carved, uint64_t small_free, uint64_t large_free)
{
    struct raw_header *header = raw_of(MORE_THAN_CPUS, carved);
    struct pace pace = pace_of(running);
    header->free_small = small_free;
    header->free_large = large_free;
    bool allowed = pace_allows(&pace, header, 0);
    pace_end(&pace);
    munmap(header, RAW_FIRST_SEGMENT);
    return allowed;
}

static void a_free_cpu(void **state)
{
    (void)state;
    assert_true(allows(ONLY_US, 0, 0, 0));
    assert_true(allows(ONLY_US, 2 * BACKLOG, 0, 0));
}

static void no_cpu_is_free(void **state)
{
    (void)state;
    assert_false(allows(MORE_THAN_CPUS, 0, 0, 0));
    assert_false(allows(MORE_THAN_CPUS, BACKLOG - 1, 0, 0));
    assert_true(allows(MORE_THAN_CPUS, BACKLOG, 0, 0));
}

/* Segments that came back can be filled again without the file growing; a thread's first is small. */
static void free_segments_are_room(void **state)
{
    (void)state;
    const uint64_t changes = UINT64_C(7) << 32; /* the count above the page number */
    assert_false(allows(MORE_THAN_CPUS, BACKLOG, changes | 200, changes | 300));
    assert_true(allows(MORE_THAN_CPUS, BACKLOG, changes, changes | 300));
    assert_true(allows(MORE_THAN_CPUS, BACKLOG, changes | 200, changes));
}

/* Other programs keep the CPUs busy, or those that are over did: no reason to wait. */
static void too_few_threads_to_fill_the_cpus(void **state)
{
    (void)state;
    struct raw_header *header = raw_of(0, 0);
    struct pace pace = pace_of(MORE_THAN_CPUS);
    assert_true(pace_allows(&pace, header, 0));
    raw_process(header, 0)->threads = MORE_THAN_CPUS;
    assert_false(pace_allows(&pace, header, 0));
    raw_process(header, 0)->finished = 1;
    assert_true(pace_allows(&pace, header, 0));
    header->processes = 2;
    raw_process(header, 1)->threads = MORE_THAN_CPUS;
    assert_false(pace_allows(&pace, header, 0));
    pace_end(&pace);
    munmap(header, RAW_FIRST_SEGMENT);
}

static void once_a_second_in_any_case(void **state)
{
    (void)state;
    const uint64_t start = 5000, second = 1000000000;
    struct raw_header *header = raw_of(MORE_THAN_CPUS, 0);
    struct pace pace = pace_of(MORE_THAN_CPUS);
    pace.last_ns = start;
    assert_false(pace_allows(&pace, header, start + second - 1));
    assert_true(pace_allows(&pace, header, start + second));
    assert_false(pace_allows(&pace, header, start + second + 1));
    pace_end(&pace);
    munmap(header, RAW_FIRST_SEGMENT);
}

static void in_doubt_it_goes(void **state)
{
    (void)state;
    struct raw_header *header = raw_of(MORE_THAN_CPUS, 0);
    struct pace pace = {.loadavg_fd = -1, .backlog_bytes_max = BACKLOG};
    assert_true(pace_allows(&pace, header, 0));
    pace.loadavg_fd = memfd_create("empty", 0);
    assert_true(pace_allows(&pace, header, 0));
    assert_true(dprintf(pace.loadavg_fd, "no figures") > 0);
    assert_true(pace_allows(&pace, header, 0));
    pace_end(&pace);
    munmap(header, RAW_FIRST_SEGMENT);
}

/* Never more than the traces may have. */
static void limit_of_the_traces(void **state)
{
    (void)state;
    struct raw_header *header = raw_of(MORE_THAN_CPUS, 65536);
    struct pace pace = pace_of(MORE_THAN_CPUS);
    assert_false(pace_allows(&pace, header, 0));
    header->size_max = 65536;
    assert_true(pace_allows(&pace, header, 0));
    pace_end(&pace);
    munmap(header, RAW_FIRST_SEGMENT);
}

/* A recording's own limit: some part of 256 MiB, whatever memory and disk there are. */
static void limit_of_the_machine(void **state)
{
    (void)state;
    struct raw_header *header = raw_of(MORE_THAN_CPUS, UINT64_C(256) << 20);
    struct pace pace = pace_of(MORE_THAN_CPUS);
    int busy = pace.loadavg_fd, fd = memfd_create("raw", 0);
    pace_begin(&pace, fd);
    close(pace.loadavg_fd);
    pace.loadavg_fd = busy;
    assert_true(pace_allows(&pace, header, 0));
    header->next = RAW_FIRST_SEGMENT + 4096;
    assert_false(pace_allows(&pace, header, 0));
    pace_end(&pace);
    close(fd);
    munmap(header, RAW_FIRST_SEGMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_cpu),
        cmocka_unit_test(no_cpu_is_free),
        cmocka_unit_test(free_segments_are_room),
        cmocka_unit_test(too_few_threads_to_fill_the_cpus),
        cmocka_unit_test(in_doubt_it_goes),
        cmocka_unit_test(limit_of_the_traces),
        cmocka_unit_test(limit_of_the_machine),
        cmocka_unit_test(once_a_second_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
