#include "check.h"

#include "results/csv_read.h"
#include "results/record.h"
#include "results/rundir.h"
#include "trial/clock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/heapmark-test-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    strcpy(strrchr(directory, '-') + 1, "XXXXXX");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static const char *path(const char *name)
{
    static char text[2][256];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%s/%s", directory, name);
    return text[turn];
}

static char *read_text(const char *file)
{
    static char text[1 << 16];
    FILE *stream = fopen(file, "r");
    assert_non_null(stream);
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    fclose(stream);
    return text;
}

static struct record sample(uint64_t trial)
{
    struct record record = {0};
    RECORD_SET(&record, run, "r");
    RECORD_SET(&record, trial, trial);
    RECORD_SET(&record, detail, "said \"no\", twice");
    RECORD_SET(&record, wall_ns, 0);
    RECORD_SET(&record, ops_per_s, 2.25);
    return record;
}

static void a_row_is_rfc_4180(void **state)
{
    char *text = NULL, *header = NULL, *fields[COLUMN_LAST], *next;
    struct record record = sample(7);
    (void)state;
    assert_true(record_header(&header) > 0);
    long length = record_row(&record, &text);
    assert_string_equal(text + length - 2, "\r\n");
    assert_non_null(strstr(text, ",\"said \"\"no\"\", twice\","));
    assert_int_equal(csv_record(text, text + length, fields, COLUMN_LAST, &next), COLUMN_LAST);
    assert_string_equal(fields[COLUMN_run], "r");
    assert_string_equal(fields[COLUMN_detail], "said \"no\", twice");
    assert_string_equal(fields[COLUMN_wall_ns], "0"); /* a figure of zero */
    assert_string_equal(fields[COLUMN_ops], "");      /* no figure */
    assert_ptr_equal(next, text + length);
    assert_int_equal(strncmp(header,
                             "run,block,trial,workload,params,allocator,variant,threads,placement,"
                             "mempolicy,seed,status,detail,ops,wall_ns,ops_per_s,cpu_user_ns,"
                             "cpu_sys_ns,live_bytes_peak,rss_bytes_base,rss_bytes_peak,"
                             "rss_bytes_end,rss_bytes_purged,faults_minor,faults_major,"
                             "switches_voluntary,switches_involuntary,malloc_ns_p50,",
                             285),
                     0);
    free(text);
    free(header);
}

static void a_torn_record_is_no_record(void **state)
{
    const char *whole = "1,\"a,b\",3\r\n";
    char *fields[4], *next;
    (void)state;
    for (size_t cut = 0; cut < strlen(whole); cut++) {
        char text[32];
        memcpy(text, whole, cut);
        assert_int_equal(csv_record(text, text + cut, fields, 4, &next), 0);
    }
}

/* Kills the writer, in effect, after every possible byte: resuming keeps exactly the whole rows. */
static void resuming_keeps_whole_rows_only(void **state)
{
    enum { TRIALS = 4 };
    struct rundir *dir;
    static struct histogram h;
    (void)state;
    clock_use((struct clock_scale){.is_tsc = 0, .ns_per_tick = 1.0});
    histogram_record(&h, 100);
    assert_int_equal(rundir_create(path("run"), "", &dir), 0);
    size_t ends[TRIALS + 1];
    ends[0] = strlen(read_text(path("run/trials.csv")));
    for (uint64_t i = 0; i < TRIALS; i++) {
        struct record record = sample(i);
        assert_int_equal(rundir_add_latency(dir, i, "malloc", &h), 0);
        assert_int_equal(rundir_add_record(dir, &record), 0);
        ends[i + 1] = strlen(read_text(path("run/trials.csv")));
    }
    rundir_close(dir);
    char *trials = strdup(read_text(path("run/trials.csv")));
    char *latency = strdup(read_text(path("run/latency.csv")));
    for (size_t cut = ends[0]; cut <= ends[TRIALS]; cut++) {
        bool done[TRIALS] = {false};
        size_t whole = 0;
        while (whole < TRIALS && ends[whole + 1] <= cut)
            whole++;
        FILE *file = fopen(path("run/trials.csv"), "w");
        fwrite(trials, 1, cut, file);
        fclose(file);
        file = fopen(path("run/latency.csv"), "w");
        fputs(latency, file);
        fputs("3,fr", file); /* torn as well */
        fclose(file);
        static const uint32_t alone[TRIALS] = {0, 1, 2, 3};
        assert_int_equal(rundir_resume(path("run"), alone, done, TRIALS, &dir), 0);
        rundir_close(dir);
        for (size_t i = 0; i < TRIALS; i++)
            assert_int_equal(done[i], i < whole);
        assert_int_equal(strlen(read_text(path("run/trials.csv"))), ends[whole]);
        const char *left = read_text(path("run/latency.csv"));
        size_t rows = 0;
        for (const char *c = left; (c = strchr(c, '\n')) != NULL; c++)
            rows++;
        assert_int_equal(rows, 1 + whole);
    }
    free(trials);
    free(latency);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        lines++;
    return lines;
}

/* Trials 1 to 3 took turns: without all three of them, none has a row, nor a turn. */
static void units_stand_or_fall_together(void **state)
{
    enum { TRIALS = 5 };
    static const uint32_t units[TRIALS] = {0, 1, 1, 1, 4};
    static const size_t kept[TRIALS + 1] = {0, 1, 1, 1, 4, 5};
    (void)state;
    for (size_t written = 0; written <= TRIALS; written++) {
        struct rundir *dir;
        bool done[TRIALS] = {false};
        const char *name = path(written % 2 ? "odd" : "even");
        char command[300];
        snprintf(command, sizeof command, "rm -rf '%s'", name);
        assert_int_equal(system(command), 0);
        assert_int_equal(rundir_create(name, "", &dir), 0);
        for (uint64_t i = 0; i < written; i++) {
            struct record record = sample(i);
            const struct turns_row turns[2] = {{.run = "r,\"s", .trial = i, .turn = 0},
                                               {.run = "r,\"s", .trial = i, .turn = 1}};
            assert_int_equal(rundir_add_side(dir, SIDE_TURNS, turns, 2), 0);
            assert_int_equal(rundir_add_record(dir, &record), 0);
        }
        rundir_close(dir);
        assert_int_equal(rundir_resume(name, units, done, TRIALS, &dir), 0);
        const struct turns_row more = {.run = "more", .trial = 4};
        assert_int_equal(rundir_add_side(dir, SIDE_TURNS, &more, 1), 0);
        rundir_close(dir);
        for (size_t i = 0; i < TRIALS; i++)
            assert_int_equal(done[i], i < kept[written]);
        char file[300];
        snprintf(file, sizeof file, "%s/trials.csv", name);
        assert_int_equal(count_lines(read_text(file)), 1 + kept[written]);
        snprintf(file, sizeof file, "%s/turns.csv", name);
        const char *text = read_text(file);
        assert_int_equal(count_lines(text), 1 + 2 * kept[written] + 1);
        assert_int_equal(strncmp(text, "run,block,trial,turn,position,", 30), 0);
        assert_int_equal(strstr(text, "\r\n\"r,\"\"s\",0,0,1,") != NULL, kept[written] > 0);
    }
}

static void a_run_is_never_overwritten(void **state)
{
    struct rundir *dir;
    (void)state;
    assert_int_equal(rundir_create(path("a/b/run"), "", &dir), 0);
    assert_string_equal(rundir_name(dir), "run");
    rundir_close(dir);
    assert_int_not_equal(rundir_create(path("a/b/run"), "", &dir), 0);
}

static void other_columns_are_refused(void **state)
{
    struct rundir *dir;
    bool done[1];
    (void)state;
    assert_int_equal(rundir_create(path("run"), "", &dir), 0);
    rundir_close(dir);
    FILE *file = fopen(path("run/trials.csv"), "w");
    fputs("run,block\r\n", file);
    fclose(file);
    static const uint32_t alone[1];
    assert_int_not_equal(rundir_resume(path("run"), alone, done, 1, &dir), 0);
    assert_int_not_equal(rundir_resume(path("nowhere"), alone, done, 1, &dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_rfc_4180),
        cmocka_unit_test(a_torn_record_is_no_record),
        cmocka_unit_test_setup_teardown(resuming_keeps_whole_rows_only, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(units_stand_or_fall_together, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_run_is_never_overwritten, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(other_columns_are_refused, make_directory,
                                        remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
