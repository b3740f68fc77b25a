#include "check.h"

#include "job/job.h"
#include "util/say.h"

/* Reads a job from text with messages captured; 0 when it is good. */
static int read_job(struct job *job, const char *text, char *message, size_t bytes)
{
    *job = (struct job){.name = "t"};
    FILE *stream = fmemopen((char *)text, strlen(text), "r"), *capture = tmpfile();
    say_to(capture);
    int result = job_add_stream(job, stream, "t.ini");
    if (result == 0)
        result = job_check(job);
    fclose(stream);
    rewind(capture);
    size_t length = fread(message, 1, bytes - 1, capture);
    message[length] = '\0';
    fclose(capture);
    return result;
}

static void a_job_file_is_read(void **state)
{
    struct job job;
    char message[512];
    (void)state;
    const char *text = "; comment\n[global]\nreps = 3\nallocators = system, jemalloc\nsize = 32\n"
                       "[a]\nworkload = pair\nthreads = 1,2\n[b]\nworkload = batch\nsize = 16,64\n";
    assert_int_equal(read_job(&job, text, message, sizeof message), 0);
    assert_string_equal(message, "");
    assert_int_equal(job.section_count, 2);
    assert_int_equal(job_number(&job, NULL, OPT_reps), 3);
    assert_int_equal(job_number(&job, NULL, OPT_aa), 0);
    assert_string_equal(job_text(&job, &job.sections[0], OPT_threads), "1,2");
    assert_string_equal(job_text(&job, &job.sections[1], OPT_threads), "1");
    struct workload_option size = {.name = "size", .fallback = "9"};
    assert_string_equal(job_param_text(&job, &job.sections[0], &size), "32");
    assert_string_equal(job_param_text(&job, &job.sections[1], &size), "16,64");
}

static void percentages_are_thousandths(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {{"2%", 2000}, {"0.5%", 500}, {"2", 2000}, {"0.001%", 1}, {"1000%", 1000000}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job job;
        char text[100], message[512];
        snprintf(text, sizeof text, "[global]\nuntil = %s\n[a]\nworkload = pair\n", cases[i].text);
        assert_int_equal(read_job(&job, text, message, sizeof message), 0);
        assert_int_equal(job_number(&job, NULL, OPT_until), cases[i].value);
    }
}

static void what_is_written_reads_the_same(void **state)
{
    struct job job, again;
    char message[512], *text = NULL, *second = NULL;
    size_t length, second_length;
    (void)state;
    assert_int_equal(read_job(&job,
                              "[global]\nseed = 9\naa = yes\n[x]\nworkload = larson\nslots = 5\n"
                              "threads = 2\n",
                              message, sizeof message),
                     0);
    FILE *stream = open_memstream(&text, &length);
    job_write(&job, stream);
    fclose(stream);
    assert_int_equal(read_job(&again, text, message, sizeof message), 0);
    stream = open_memstream(&second, &second_length);
    job_write(&again, stream);
    fclose(stream);
    assert_string_equal(text, second);
    free(text);
    free(second);
}

static void each_fault_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *said;
    } faults[] = {
        {"[a]\nworkload = pair\nsise = 4\n", "t.ini:3: unknown key 'sise'; did you mean 'size'?"},
        {"[a]\nworkload = piar\n", "t.ini:2: unknown workload 'piar'; did you mean 'pair'?"},
        {"[a]\nworkload = pair\nthreads = 0\n", "t.ini:3: '0' is not good for 'threads'"},
        {"[a]\nworkload = pair\nthreads = 1,two\n", "t.ini:3: '1,two' is not good for 'threads'"},
        {"[a]\nworkload = pair\nsize = 0\n",
         "t.ini:3: '0' is not good for 'size' of workload 'pair'"},
        {"[global]\nuntil = 0%\n[a]\nworkload = pair\n", "t.ini:2: '0%' is not good for 'until'"},
        {"[global]\nuntil = abc\n[a]\nworkload = pair\n",
         "expected a percentage above 0 such as 2%"},
        {"[global]\nuntil = 2%%\n[a]\nworkload = pair\n", "'2%%' is not good for 'until'"},
        {"[a]\nworkload = pair\nuntil = 2%\n", "t.ini:3: 'until' holds for the whole run"},
        {"[a]\nworkload = pair\nturns = 10001\n", "t.ini:3: '10001' is not good for 'turns'"},
        {"[a]\nworkload = pair\ntimeline = often\n", "t.ini:3: 'often' is not good for 'timeline'"},
        {"[a]\nworkload = batch\norder = upward\n", "expected one of fifo, lifo, shuffled"},
        {"[a]\nworkload = pair\nreps = 3\n", "t.ini:3: 'reps' holds for the whole run"},
        {"[global]\nout = x\n[a]\nworkload = pair\n", "t.ini:2: 'out' belongs on the command line"},
        {"reps = 3\n[a]\nworkload = pair\n", "t.ini:1: 'reps' stands before any section"},
        {"[a]\nworkload = pair\nsize = 4\nsize = 8\n", "t.ini:4: 'size' is given twice in [a]"},
        {"[a]\nworkload = pair\nnonsense\n", "t.ini:3: this is neither"},
        {"[a\nworkload = pair\n", "t.ini:1: the section's name has no closing"},
        {"[global]\nreps = 3\n", "'t.ini' has no job"},
        {"", "'t.ini' has no job"},
        {"[a]\nsize = 3\n", "t.ini:2: job 'a' names no workload"},
        {"[a]\nworkload = replay\n", "needs 'trace'"},
        {"[global]\nqueue = 3\n[a]\nworkload = pair\n", "t.ini:2: unknown key 'queue'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct job job;
        char message[1024];
        int result = read_job(&job, faults[i].text, message, sizeof message);
        if (result == 0 || strstr(message, faults[i].said) == NULL)
            fail_msg("job file <%s>: result %d, said <%s>, wanted <%s>", faults[i].text, result,
                     message, faults[i].said);
    }
}

static void a_long_line_is_refused_not_cut(void **state)
{
    struct job job;
    char text[1000] = "[a]\nworkload = ", message[512];
    (void)state;
    memset(text + strlen(text), 'p', 900);
    assert_int_not_equal(read_job(&job, text, message, sizeof message), 0);
    assert_non_null(strstr(message, "t.ini:2: the line is longer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_file_is_read),
        cmocka_unit_test(percentages_are_thousandths),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(each_fault_is_named_with_its_line),
        cmocka_unit_test(a_long_line_is_refused_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
