"""The allow list: regressions that are known, each with a reason and the last day it counts.

    ; an INI file: the section names the workload (* and ? match any text)
    [larson*]
    metric = time
    until = 2026-12-31
    reason = the new lock is slower, to be mended before the release
"""

import configparser
import datetime
import fnmatch
from dataclasses import dataclass

from heapmark import load
from heapmark.errors import InputError, nearest
from heapmark.gate.limits import metric_of

KEYS = ("metric", "until", "reason")


@dataclass(frozen=True)
class Entry:
    """One section; `metrics` is empty for all of them."""

    pattern: str
    metrics: tuple
    until: datetime.date
    reason: str

    def covers(self, metric, names):
        is_named = any(fnmatch.fnmatchcase(name, self.pattern) for name in names)
        return is_named and (not self.metrics or metric in self.metrics)

    def is_expired(self, today):
        return today > self.until


def read(path):
    """The entries of a file, a pathlib.Path. Raises InputError that names the section and key."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read_string(load.read_text(path), source=str(path))
    except configparser.Error as error:
        raise InputError(f"'{path}': {' '.join(str(error).split())}".lower()) from None
    return [entry(path, name, parser[name]) for name in parser.sections()]


def entry(path, name, section):
    where = f"'{path}' [{name}]"
    for key in section:
        if key not in KEYS:
            raise InputError(f"{where}: unknown key '{key}'{nearest(key, KEYS)}")
    for key in ("until", "reason"):
        if not section.get(key, "").strip():
            raise InputError(f"{where}: '{key}' is missing; an exception needs its end and its why")
    try:
        until = datetime.date.fromisoformat(section["until"].strip())
    except ValueError:
        raise InputError(
            f"{where}: until is '{section['until']}'; expected a day such as 2026-12-31"
        ) from None
    metrics = [part for part in section.get("metric", "").split(",") if part.strip()]
    metrics = tuple(metric_of(part, where) for part in metrics)
    return Entry(name, metrics, until, section["reason"].strip())
