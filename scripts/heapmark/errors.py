"""How analysis refuses and fails: one line, lower case, the subject quoted, the remedy last."""

import difflib

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 70  # sysexits.h's EX_SOFTWARE: a bug in the analysis is no regression (1) of a gate


class InputError(Exception):
    """Wrong usage or input that cannot be read as a result; the program ends with EXIT_USAGE."""


def nearest(name, known):
    """The hint "; did you mean 'x'?" for a mistyped name, or "" where nothing known is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""
