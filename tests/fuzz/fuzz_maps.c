/*
 * Fuzz target: whatever the list of modules beside a trace holds, each address in and next to what
 * its lines say is described, in the room there is.
 */
#include "fuzz.h"

#include "cmd/trace_symbols.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_BYTES = 64, LINES_MAX = 100 };

/* What symbols_open() makes of the list, which it finds by its name beside a trace's. */
static struct symbols *open_list(const uint8_t *data, size_t bytes)
{
    char directory[] = P_tmpdir "/heapmark-fuzz-XXXXXX";
    char trace[sizeof directory + 16], list[sizeof trace + 16];
    require(mkdtemp(directory) != NULL);
    snprintf(trace, sizeof trace, "%s/t.hmt", directory);
    snprintf(list, sizeof list, "%s.maps", trace);
    int fd = open(list, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    close(fd);
    struct symbols *symbols = symbols_open(trace, INT64_MAX);
    require(unlink(list) == 0 && rmdir(directory) == 0);
    return symbols;
}

static void describe(struct symbols *symbols, uint64_t address)
{
    char text[ROOM_BYTES];
    memset(text, 'x', sizeof text);
    require(symbols_describe(symbols, address, text, sizeof text) == text);
    require(text[0] != '\0' && memchr(text, '\0', sizeof text) != NULL);
}

static void describe_line(struct symbols *symbols, const char *line)
{
    uint64_t begin, end;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) != 2)
        return;
    describe(symbols, begin);
    describe(symbols, begin + 1);
    describe(symbols, begin / 2 + end / 2);
    describe(symbols, end);
    describe(symbols, end + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct symbols *symbols = open_list(data, bytes);
    char *text = strndup((const char *)data, bytes), *rest = text;
    require(symbols != NULL && text != NULL);
    for (int i = 0; i < LINES_MAX && rest != NULL; i++)
        describe_line(symbols, strsep(&rest, "\n"));
    free(text);
    symbols_close(symbols);
    return 0;
}
