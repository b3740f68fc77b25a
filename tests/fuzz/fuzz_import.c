/*
 * Fuzz target: whatever a file to import holds, it neither crashes nor hangs, a refusal says why,
 * and a trace that comes out is a good one. Built once for each format, see FUZZ_SOURCE.
 */
#include "fuzz.h"

#include "workloads/trace/export.h"
#include "workloads/trace/import.h"
#include "workloads/trace/reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A stream to write text to, where it can be read again. */
struct memory {
    char *text;
    size_t bytes;
};

static bool import(const void *data, size_t bytes, int fd, struct import_result *result)
{
    char error[512] = "";
    FILE *in = fmemopen((void *)data, bytes, "r");
    require(in != NULL);
    int failed = trace_import(in, "fuzz", FUZZ_SOURCE, fd, result, error, sizeof error);
    fclose(in);
    require((failed == 0) == (error[0] == '\0'));
    return failed == 0;
}

static void export(const char *path, struct memory *text)
{
    char error[512] = "";
    FILE *out = open_memstream(&text->text, &text->bytes);
    require(trace_export(path, EXPORT_TEXT, out, error, sizeof error) == 0);
    fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[64];
    struct import_result result;
    struct memory text = {0};
    if (bytes == 0)
        return 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (import(data, bytes, fd, &result)) {
        export(path, &text); /* which reads it to its end */
        require(result.header.events > 0 && text.bytes > 0);
        free(text.text);
    }
    close(fd);
    return 0;
}
