/* What argp leaves out of a good command line: the nearest known name of a mistyped option. */
#ifndef HEAPMARK_UTIL_CLI_H
#define HEAPMARK_UTIL_CLI_H

#include <argp.h>

/*
 * Checks that every word that begins with "--" (up to a lone "--") names an option of `options`,
 * whole or as an unambiguous beginning. 0, or -EINVAL after the error was said.
 */
int cli_check_options(int argc, char **argv, const struct argp_option *options);

/*
 * argp_parse() after cli_check_options(); usage errors give 2 (argp itself would exit with 64).
 * `--help` prints and exits with 0. Returns 0, or the exit code 2.
 */
int cli_parse(const struct argp *argp, int argc, char **argv, void *input);

#endif
