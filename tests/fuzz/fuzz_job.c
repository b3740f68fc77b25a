/* Fuzz target: any bytes as a job file give a job or an error message, never a crash. */
#include "job/job.h"
#include "util/pool.h"
#include "util/say.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    say_to(NULL); /* each error is said; a million of them are not wanted */
    FILE *stream = size > 0 ? fmemopen((void *)data, size, "r") : NULL;
    if (stream == NULL)
        return 0;
    struct job job = {.name = "fuzz"};
    if (job_add_stream(&job, stream, "fuzz.ini") == 0)
        (void)!job_check(&job);
    fclose(stream);
    pool_reset();
    return 0;
}
