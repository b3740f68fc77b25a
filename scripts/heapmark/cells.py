"""Names: what a cell (one set of conditions) and a label (one contender) are called for people."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath

AA = "aa"  # the variant that marks the baseline's second part in an A/A run
# What measures the harness itself and is never ranked: no call at all, the calls written out by
# hand, and the bump allocator that never frees.
FLOOR_WORKLOADS = ("null", "byhand")
FLOOR_ALLOCATOR = "null"
NAMING_PARAMS = ("trace",)  # part of a cell's name even when every cell has the same


@dataclass(frozen=True)
class Cell:
    """The conditions that trials must share before they may be compared."""

    workload: str
    params: str
    threads: int
    placement: str
    mempolicy: str

    def settings(self):
        """All conditions as a dictionary of strings, workload parameters first."""
        settings = parse_params(self.params)
        settings.update(
            threads=str(self.threads), placement=self.placement, mempolicy=self.mempolicy
        )
        return settings

    def param(self, key):
        return parse_params(self.params).get(key, "")

    @property
    def is_paced(self):
        """A replay at the recorded times: what it takes is the recording's time, nobody else's."""
        return self.param("mode") == "paced"


def parse_params(text):
    """key=value pairs separated by spaces; a value may itself hold spaces (a file name)."""
    settings = {}
    key = None
    for word in text.split(" "):
        if "=" in word:
            key, _, value = word.partition("=")
            settings[key] = value
        elif key and word:
            settings[key] += " " + word
    return settings


def label_of(allocator, variant):
    return f"{allocator}:{variant}" if variant else allocator


def is_floor(workload, allocator):
    return workload in FLOOR_WORKLOADS or allocator == FLOOR_ALLOCATOR


def natural(text):
    """Sort key that puts size=64 before size=512."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def order(cell):
    return [natural(part) for part in (cell.workload, cell.params)] + [
        cell.threads,
        natural(cell.placement),
        natural(cell.mempolicy),
    ]


def short_value(value):
    """A trace is known by its file's stem, not by where it lies."""
    return PurePath(value).stem if "/" in value or value.endswith(".hmt") else value


def names(cells):
    """The shortest name for each cell: the workload and what tells it from its siblings."""
    siblings = defaultdict(list)
    for cell in cells:
        siblings[cell.workload].append(cell)
    return {cell: name for group in siblings.values() for cell, name in group_names(group).items()}


def short_values(values):
    """{value: its short name}; files of one name are told apart by the directories they lie in."""
    short = {value: short_value(value) for value in values}
    names = list(short.values())
    return {
        value: name if names.count(name) == 1 else with_directories(value, values)
        for value, name in short.items()
    }


def with_directories(value, others):
    """As many of a file's directories before its name as no other has."""
    parts = {other: PurePath(other).with_suffix("").parts for other in others}
    mine = parts.pop(value)
    for count in range(2, len(mine)):
        if all(other[-count:] != mine[-count:] for other in parts.values()):
            return "/".join(mine[-count:])
    return value


def group_names(group):
    """Names of one workload's cells; settings are added, in order, until all names differ."""
    keys = list(dict.fromkeys(key for cell in group for key in cell.settings()))
    keys.sort(key=lambda key: key not in NAMING_PARAMS)
    words = {cell: [cell.workload] for cell in group}
    for key in keys:
        values = {cell: cell.settings().get(key, "") for cell in group}
        if key in NAMING_PARAMS:
            short = short_values(set(values.values()))
            words = {cell: words[cell] + [short[values[cell]]] for cell in group}
        elif len(set(values.values())) > 1 and not all_differ(words):
            words = {cell: words[cell] + [f"{key}={short_value(values[cell])}"] for cell in group}
    if all_differ(words):
        return {cell: " ".join(parts) for cell, parts in words.items()}
    return {cell: full_name(cell) for cell in group}


def all_differ(words):
    return len({tuple(parts) for parts in words.values()}) == len(words)


def full_name(cell):
    return " ".join(
        [cell.workload] + [f"{key}={value}" for key, value in cell.settings().items()]
    )


def short_label(label):
    """An allocator given as a path is known by its file name."""
    name, colon, variant = label.partition(":")
    return (PurePath(name).name if "/" in name else name) + colon + variant
