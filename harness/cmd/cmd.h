/*
 * The sub-commands. Each takes the words after its name, argv[0] being "heapmark NAME", and returns
 * an exit code: 0 all well, 1 ran and something failed, 2 wrong usage or input.
 */
#ifndef HEAPMARK_CMD_CMD_H
#define HEAPMARK_CMD_CMD_H

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int cmd_list(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_topo(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_analysis(int argc, char **argv); /* any command that is Python */

#endif
