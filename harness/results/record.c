#include "results/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct column_info columns[COLUMN_LAST] = {
#define COLUMN(type, name, unit, help) \
    [COLUMN_##name] = {#name, unit, help, COLUMN_TYPE_##type, offsetof(struct record, name)},
#include "results/record.def"
#undef COLUMN
};

const char *column_type_name(enum column_type type)
{
    static const char *const names[] = {"text", "count", "real"};
    return names[type];
}

void csv_write(FILE *stream, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

void csv_write_value(FILE *stream, const struct column_info *info, const void *row)
{
    const char *at = (const char *)row + info->offset;
    if (info->type == COLUMN_TYPE_COUNT) {
        uint64_t value;
        memcpy(&value, at, sizeof value);
        fprintf(stream, "%" PRIu64, value);
    } else if (info->type == COLUMN_TYPE_REAL) {
        double value;
        memcpy(&value, at, sizeof value);
        fprintf(stream, "%.1f", value);
    } else {
        const char *text;
        memcpy(&text, at, sizeof text);
        csv_write(stream, text);
    }
}

static long finish(FILE *stream, size_t *length)
{
    fputs("\r\n", stream);
    int failed = ferror(stream);
    return fclose(stream) == 0 && !failed ? (long)*length : -ENOMEM;
}

long record_header(char **text)
{
    size_t length;
    free(*text);
    FILE *stream = open_memstream(text, &length);
    if (stream == NULL)
        return -ENOMEM;
    for (int i = 0; i < COLUMN_LAST; i++)
        fprintf(stream, "%s%s", i ? "," : "", columns[i].name);
    return finish(stream, &length);
}

long record_row(const struct record *record, char **text)
{
    size_t length;
    free(*text);
    FILE *stream = open_memstream(text, &length);
    if (stream == NULL)
        return -ENOMEM;
    for (int i = 0; i < COLUMN_LAST; i++) {
        if (i > 0)
            fputc(',', stream);
        if (record_has(record, (enum column)i))
            csv_write_value(stream, &columns[i], record);
    }
    return finish(stream, &length);
}
