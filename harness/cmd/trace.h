/*
 * The sub-commands of `heapmark trace`. Each takes the words after its name, argv[0] being
 * "heapmark trace NAME", and returns an exit code.
 */
#ifndef HEAPMARK_CMD_TRACE_H
#define HEAPMARK_CMD_TRACE_H

#include "cmd/trace_symbols.h"
#include "workloads/trace/import.h"
#include "workloads/trace/info.h"
#include "workloads/trace/whole_file.h"

#include <stdbool.h>

int trace_command_info(int argc, char **argv);
int trace_command_verify(int argc, char **argv);
int trace_command_recover(int argc, char **argv);
int trace_command_cut(int argc, char **argv);
int trace_command_export(int argc, char **argv);
int trace_command_import(int argc, char **argv);

/* A trace's path: as it was given, where there is such a file, else of the shipped one of that name,
 * in `found`. Where there is neither, `name`: opening it says so. */
const char *trace_find(const char *name, char *found, size_t bytes);

/* The one file of a command's words; ends the program with a message where there is a second one. */
struct argp_state;
int trace_take_path(const char **path, const char *value, struct argp_state *state);

/*
 * The file that a trace is written into; what goes wrong is told. False: it cannot be opened. Closing it
 * publishes it, or drops it where something `failed` and has been told already; the exit code of either.
 * It cannot be `input`, which is what is read; NULL: no file.
 */
struct stat;
bool trace_output_open(struct whole_file *output, const char *path, const struct stat *input);
int trace_output_close(struct whole_file *output, int failed);

/* What came of an import, a line each through `tell`. */
void trace_tell_import(void (*tell)(const char *format, ...), const char *path,
                       const struct import_result *result);

/* All that `info` prints. */
struct trace_report {
    const struct trace_info *info;
    const struct trace_details *details;
    struct symbols *symbols; /* NULL: return addresses stay what they are */
};

/* For people, on standard output. */
void trace_print_text(const struct trace_report *report);

/* One of the tables of `info --format=csv`: see trace_table_names. */
void trace_print_table(const char *name, const struct trace_report *report);

extern const char *const trace_table_names[];
enum { TRACE_TABLES = 9 };

/* "malloc", "thread starts": what an operation is called on the screen. */
extern const char *const trace_op_names[TRACE_OP_COUNT];

#endif
