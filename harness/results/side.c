#include "results/side.h"

#define COLUMN(type, name, unit, help) \
    {#name, unit, help, COLUMN_TYPE_##type, offsetof(struct ROW, name)},
#define ROW turns_row
static const struct column_info turns_columns[] = {
#include "results/turns.def"
};
#undef ROW
#define ROW timeline_row
static const struct column_info timeline_columns[] = {
#include "results/timeline.def"
};
#undef ROW
#define ROW functions_row
static const struct column_info functions_columns[] = {
#include "results/functions.def"
};
#undef ROW
#undef COLUMN

enum { TRIAL_COLUMN = 2 }; /* every list begins with run, block, trial */

#define SIDE(file, text)                                                      \
    {                                                                         \
        .name = #file ".csv", .help = text, .columns = file##_columns,        \
        .column_count = sizeof file##_columns / sizeof file##_columns[0],     \
        .trial_column = TRIAL_COLUMN, .row_bytes = sizeof(struct file##_row), \
    }

const struct side_info side_files[SIDE_COUNT] = {
    [SIDE_TURNS] = SIDE(turns, "one row per turn; written by runs with the option `turns`"),
    [SIDE_TIMELINE] =
        SIDE(timeline, "memory over time; written by runs with the option `timeline`"),
    [SIDE_FUNCTIONS] =
        SIDE(functions, "the 20 functions of a trial with most instructions; written by runs with "
                        "the option `instructions`"),
};

void side_header(enum side_file file, FILE *stream)
{
    const struct side_info *info = &side_files[file];
    for (size_t i = 0; i < info->column_count; i++)
        fprintf(stream, "%s%s", i ? "," : "", info->columns[i].name);
    fputs("\r\n", stream);
}

void side_row(enum side_file file, const void *row, FILE *stream)
{
    const struct side_info *info = &side_files[file];
    for (size_t i = 0; i < info->column_count; i++) {
        if (i > 0)
            fputc(',', stream);
        csv_write_value(stream, &info->columns[i], row);
    }
    fputs("\r\n", stream);
}
