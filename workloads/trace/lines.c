#include "workloads/trace/lines.h"

#include <errno.h>
#include <stdlib.h>

static int grow(struct lines *lines)
{
    size_t capacity = lines->capacity ? 2 * lines->capacity : 256;
    char *text = realloc(lines->text, capacity);
    if (text == NULL)
        return -ENOMEM;
    lines->text = text;
    lines->capacity = capacity;
    return 0;
}

int lines_next(struct lines *lines)
{
    size_t used = 0;
    int c;
    lines->damaged = false;
    errno = 0;
    while ((c = getc_unlocked(lines->file)) != EOF && c != '\n') {
        if (used + 1 >= lines->capacity && used < LINE_BYTES_MAX && grow(lines) != 0)
            return -ENOMEM;
        lines->damaged |= c == '\0' || used >= LINE_BYTES_MAX;
        if (used < LINE_BYTES_MAX)
            lines->text[used++] = (char)c;
    }
    if (ferror(lines->file))
        return errno != 0 ? -errno : -EIO;
    if (c == EOF && used == 0)
        return 0;
    if (lines->capacity == 0 && grow(lines) != 0)
        return -ENOMEM;
    if (used > 0 && lines->text[used - 1] == '\r')
        used--;
    lines->text[used] = '\0';
    lines->unended = c == EOF;
    lines->number++;
    return 1;
}

void lines_release(struct lines *lines)
{
    free(lines->text);
    *lines = (struct lines){0};
}
