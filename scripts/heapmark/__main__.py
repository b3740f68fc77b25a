"""The command table of heapmark's analysis; `heapmark plot RUN` arrives here as `plot RUN`.

Each command imports what it needs when it is called: numpy, scipy and matplotlib take most of a
second to load, and `--help` or a mistyped option should not wait for them.
"""

import argparse
import os
import sys

from heapmark.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InputError,
    nearest,
)


def command_ranking(options):
    from heapmark import load, ranking

    print(ranking.render(load.load_run(options.run)), end="")


def command_plot(options):
    from heapmark import load, plots

    names, formats = plots.select(options.only), plots.select_formats(options.format)
    for path in plots.draw(load.load_run(options.run), names, formats):
        print(path)


def add_plot_options(parser):
    parser.add_argument("--only", metavar="NAME[,NAME]", help="draw these plots only")
    parser.add_argument(
        "--format", default="svg,png", metavar="LIST", help="svg, png or both (default: svg,png)"
    )


# name: what it runs, what it does, what adds its own options
COMMANDS = {
    "ranking": (command_ranking, "print how the allocators of a run compare", None),
    "plot": (command_plot, "draw a run's plots into its directory plots/", add_plot_options),
}


class Parser(argparse.ArgumentParser):
    """argparse with heapmark's own form of error message."""

    def error(self, message):
        raise InputError(f"{message}; '{self.prog} --help' shows what can be given")


def command_parser(name):
    _, purpose, add_options = COMMANDS[name]
    parser = Parser(prog=f"heapmark {name}", description=purpose, allow_abbrev=False)
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
    lines = [f"  {name:8s}  {purpose}" for name, (_, purpose, _) in COMMANDS.items()]
    return "usage: heapmark COMMAND RUN\n\n" + "\n".join(lines) + "\n"


def dispatch(arguments):
    if not arguments:
        raise InputError("no command given; 'heapmark --help' lists them")
    if arguments[0] in ("-h", "--help"):
        print(usage(), end="")
        return EXIT_OK
    name = arguments[0]
    if name not in COMMANDS:
        raise InputError(f"unknown command '{name}'{nearest(name, COMMANDS)}")
    COMMANDS[name][0](parse(name, arguments[1:]))
    sys.stdout.flush()
    return EXIT_OK


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
        code, message = EXIT_FAILED, f"'{error.filename}': {(error.strerror or str(error)).lower()}"
    except KeyboardInterrupt:
        code, message = EXIT_INTERRUPTED, "interrupted"
    print(f"heapmark: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
