"""The command table of heapmark's analysis; `heapmark plot RUN` arrives here as `plot RUN`.

Each command imports what it needs when it is called: numpy, scipy and matplotlib take most of a
second to load, and `--help` or a mistyped option should not wait for them.
"""

import argparse
import gc
import os
import signal
import sys

from heapmark.compare.options import add_options as add_compare_options
from heapmark.errors import (
    EXIT_BUG,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    InputError,
    nearest,
)
from heapmark.gate.options import add_options as add_gate_options
from heapmark.history.options import add_options as add_history_options
from heapmark.plots.options import add_options as add_plot_options
from heapmark.power_options import add_options as add_detectable_options
from heapmark.report.options import add_options as add_report_options


interrupted_by = signal.SIGINT  # the exit code is what a shell reports for a program ended by it


def command_ranking(options):
    from heapmark import load, ranking

    print(ranking.render(load.load_run(options.run)), end="")


def command_plot(options):
    from heapmark.plots import command

    command.command(options)


def command_report(options):
    from heapmark.report import command

    command.command(options)


def command_compare(options):
    from heapmark.compare import command

    command.command(options)


def command_gate(options):
    from heapmark.gate import command

    return command.command(options)


def command_history(options):
    from heapmark.history import command

    command.command(options)


def command_detectable(options):
    from heapmark import power

    power.command(options)


def command_until(options):
    from heapmark import until

    return until.command(options)


def command_instructions(options):
    from heapmark import instructions

    instructions.command(options)


def add_until_options(parser):
    parser.add_argument("percent", metavar="PERCENT", help="half the width to reach, such as 2%%")


# name: what it runs (its exit code, or None for EXIT_OK), what it does, what adds its own options
COMMANDS = {
    "ranking": (command_ranking, "print how the allocators of a run compare", None),
    "plot": (command_plot, "draw a run's plots into its directory plots/", add_plot_options),
    "report": (command_report, "write a run as one HTML page", add_report_options),
    "compare": (command_compare, "compare two runs, or allocators of a run", add_compare_options),
    "gate": (command_gate, "decide whether a change made any workload worse", add_gate_options),
    "history": (command_history, "find what changed in a history of gates", add_history_options),
    "detectable": (command_detectable, "say what a run can tell apart", add_detectable_options),
}
COMMANDS |= {
    "until": (command_until, "say whether a run's intervals are narrow enough", add_until_options),
    "instructions": (command_instructions, "print a run's instruction counts", None),
}
# Those that do not begin with a run directory.
WITHOUT_RUN = ("gate", "history", "detectable")


class Parser(argparse.ArgumentParser):
    """argparse with heapmark's own form of error message."""

    def error(self, message):
        raise InputError(f"{message}; '{self.prog} --help' shows what can be given")


def command_parser(name):
    _, purpose, add_options = COMMANDS[name]
    parser = Parser(prog=f"heapmark {name}", description=purpose, allow_abbrev=False)
    if name not in WITHOUT_RUN:
        parser.add_argument("run", metavar="RUN", help="run directory, or its name under results/")
    if add_options:
        add_options(parser)
    return parser


def parse(name, arguments):
    """Options of a command; raises InputError that names the one that is unknown or missing."""
    parser = command_parser(name)
    options, rest = parser.parse_known_args(arguments)
    if rest:
        word = rest[0].partition("=")[0]
        known = [text for action in parser._actions for text in action.option_strings]
        what = "option" if word.startswith("-") else "argument"
        parser.error(f"unknown {what} '{word}'" + nearest(word, known if what == "option" else ()))
    return options


def usage():
    lines = [f"  {name:10s}  {purpose}" for name, (_, purpose, _) in COMMANDS.items()]
    return "usage: heapmark COMMAND ...\n\n" + "\n".join(lines) + "\n"


def dispatch(arguments):
    if not arguments:
        raise InputError("no command given; 'heapmark --help' lists them")
    if arguments[0] in ("-h", "--help"):
        print(usage(), end="")
        return EXIT_OK
    name = arguments[0]
    if name not in COMMANDS:
        raise InputError(f"unknown command '{name}'{nearest(name, COMMANDS)}")
    # Looking for cycles takes a tenth of the time of a command that lasts seconds, and finds only
    # figures that are drawn.
    gc.disable()
    code = COMMANDS[name][0](parse(name, arguments[1:]))
    sys.stdout.flush()
    return EXIT_OK if code is None else code


def main(arguments):
    """Run one command; returns the exit code. Wrong input ends in one line, never in a trace."""
    try:
        return dispatch(arguments)
    except InputError as error:
        code, message = EXIT_USAGE, str(error)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Nothing may be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        subject = f"'{error.filename}': " if error.filename else ""  # a write knows no name
        code, message = EXIT_FAILED, subject + (error.strerror or str(error)).lower()
    except KeyboardInterrupt as stop:  # its text says how to go on, where somebody knows it
        code, message = 128 + interrupted_by, "; ".join(["interrupted", *map(str, stop.args)])
    print(f"heapmark: {message}", file=sys.stderr)
    return code


def terminated(number, frame):
    global interrupted_by
    interrupted_by = number
    signal.default_int_handler(number, frame)


def report_bug(kind, error, trace):
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(EXIT_BUG)


if __name__ == "__main__":
    sys.excepthook = report_bug
    # What it runs is ended as by Ctrl-C, and what it has measured is told.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminated)
    # A character that the output's encoding lacks must not cost the whole text. stderr is so by itself.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
