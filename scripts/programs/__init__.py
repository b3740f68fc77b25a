"""Little programs whose time depends on the allocator, and whose output is always the same.

The validation of replays and the benchmark of the recorder run them, each at sizes of its own. What
the sizes count is said in the first lines of each script.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
EACH_SIZE = "SIZES"  # among a program's arguments: one for each size


@dataclass(frozen=True)
class Program:
    """A program of Debian's, and its arguments: {here} is this directory, {0} the first size."""

    executable: str
    package: str
    arguments: tuple

    @property
    def is_installed(self):
        return shutil.which(self.executable) is not None

    def command(self, *sizes):
        words = [shutil.which(self.executable)]
        for word in self.arguments:
            words += map(str, sizes) if word == EACH_SIZE else [word.format(*sizes, here=HERE)]
        return words


SQL_SIZE = "create temp table size(customers, orders); insert into size values({0}, {1});"
PROGRAMS = {
    "sqlite3": Program("sqlite3", "sqlite3",
                       ("-cmd", SQL_SIZE, ":memory:", ".read {here}/session.sql")),
    "lua": Program("lua5.4", "lua5.4", ("{here}/script.lua", EACH_SIZE)),
    "perl": Program("perl", "perl", ("{here}/script.pl", EACH_SIZE)),
    "perl-threads": Program("perl", "perl", ("{here}/threads.pl", EACH_SIZE)),
    "python3": Program("/usr/bin/python3", "python3", ("-S", "{here}/work.py", EACH_SIZE)),
}  # fmt: skip
