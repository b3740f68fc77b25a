/* The files of a recording before and after the program runs, and who keeps it from being recovered. */
#include "workloads/trace/recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/heapmark-recording-XXXXXX";
static char output[64], raw_path[80];

/* What `heapmark record` leaves when it is killed: a raw file, in which `pid` is the first process. */
static void leave_recording(pid_t pid)
{
    static char *const command[] = {"app", NULL};
    const struct recording_options options = {.sample = 1};
    char error[512];
    struct recording recording;
    pid_t recorder = fork();
    if (recorder == 0) {
        if (recording_begin(&recording, output, command, &options, error, sizeof error) != 0)
            _exit(1);
        _exit(raw_enter(recording.raw, (uint32_t)pid) == NULL);
    }
    int status;
    assert_int_equal(waitpid(recorder, &status, 0), recorder);
    assert_int_equal(status, 0);
}

static int recover(char error[512])
{
    struct recording recording;
    int result = recording_recover(&recording, raw_path, error, 512);
    recording_release(&recording);
    unlink(raw_path);
    return result;
}

/* A process that waits to be killed; with the raw file mapped, as recorded ones have it. */
static pid_t start(bool maps)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
        FILE *file = maps ? fopen(raw_path, "r+") : NULL;
        void *memory =
            maps ? mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0) : NULL;
        if (memory == MAP_FAILED || write(ready[1], &byte, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void not_while_a_process_writes(void **state)
{
    (void)state;
    char error[512], said[64];
    leave_recording(1);
    pid_t pid = start(true);
    struct raw_header *raw;
    FILE *file = fopen(raw_path, "r+");
    raw = mmap(NULL, RAW_FIRST_SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    raw_process(raw, 0)->pid = (uint32_t)pid;
    munmap(raw, RAW_FIRST_SEGMENT);
    fclose(file);
    assert_int_equal(recover(error), -EBUSY);
    snprintf(said, sizeof said, "process %d is still being recorded", (int)pid);
    assert_non_null(strstr(error, said));
    end(pid);
}

/* Nothing stands in these: that it was looked at is what counts. */
static void after_another_program_has_its_pid(void **state)
{
    (void)state;
    char error[512];
    pid_t pid = start(false);
    leave_recording(pid);
    assert_int_equal(recover(error), -ENODATA);
    end(pid);
}

static void while_nobody_asks_for_its_end(void **state)
{
    (void)state;
    char error[512];
    siginfo_t info;
    pid_t pid = start(false);
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    leave_recording(pid);
    assert_int_equal(recover(error), -ENODATA);
    end(pid);
}

static void a_trace_without_a_name(void **state)
{
    static char *const command[] = {"app", NULL};
    const struct recording_options options = {.sample = 1};
    char error[512];
    struct recording recording;
    (void)state;
    assert_int_equal(recording_begin(&recording, "", command, &options, error, sizeof error),
                     -EINVAL);
    assert_non_null(strstr(error, "needs a name"));
    recording_release(&recording);
}

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(output, sizeof output, "%s/t.hmt", directory);
    snprintf(raw_path, sizeof raw_path, "%s.raw", output);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_while_a_process_writes),
        cmocka_unit_test(after_another_program_has_its_pid),
        cmocka_unit_test(while_nobody_asks_for_its_end),
        cmocka_unit_test(a_trace_without_a_name),
    };
    return cmocka_run_group_tests_name("recording", tests, make_directory, remove_directory);
}
