"""Limits: how much worse each metric of each workload may become."""

import fnmatch
import math
from dataclasses import dataclass

from heapmark import ranges
from heapmark.errors import InputError, nearest
from heapmark.gate.options import DEFAULT_LIMITS, METRICS, SYNONYMS

OFF = "off"


@dataclass(frozen=True)
class Limits:
    """`general`: {metric: fraction}; `special`: (pattern, {metric: fraction or None for off})."""

    general: dict
    special: tuple = ()

    @property
    def metrics(self):
        """The metrics that any limit is about, in METRICS' order."""
        named = set(self.general)
        for _, limits in self.special:
            named |= {metric for metric, limit in limits.items() if limit is not None}
        return [metric for metric in METRICS if metric in named]

    def only(self, metrics):
        """The same limits of these metrics alone."""
        def kept(limits):
            return {metric: limit for metric, limit in limits.items() if metric in metrics}

        special = tuple((pattern, kept(limits)) for pattern, limits in self.special)
        return Limits(kept(self.general), special)

    def log(self, metric, names):
        """The limit's logarithm for a workload known under `names`, or None where it has none."""
        limit = self.general.get(metric)
        for pattern, limits in self.special:
            if metric in limits and any(fnmatch.fnmatchcase(name, pattern) for name in names):
                limit = limits[metric]
        return None if limit is None else math.log1p(limit)


def parse(general, special, metrics):
    """Limits from the texts of --max-regress, --limit and --metrics. Raises InputError."""
    limits = pairs(DEFAULT_LIMITS, "the default")
    for text in general:
        limits |= pairs(text, "--max-regress")
    if metrics is not None:
        chosen = [metric_of(name, "--metrics") for name in metrics.split(",")]
        # What was asked for by name is judged even where no limit was given.
        limits = {m: limits.get(m) or pairs(FALLBACKS, "")[m] for m in chosen}
    limits = {metric: limit for metric, limit in limits.items() if limit is not None}
    found = Limits(limits, tuple(special_pair(text) for text in special))
    if not found.metrics:
        raise InputError("every metric is off; give --max-regress=3%, or leave it out")
    return found


FALLBACKS = "time=3%,rss=5%,p99=10%,instructions=0.5%"  # limits of metrics named in --metrics only


def pairs(text, name):
    """'3%' or 'time=3%,rss=off' as {metric: fraction or None}."""
    if "=" not in text:
        return {"time": ranges.percent(text, name)}
    result = {}
    for part in text.split(","):
        metric, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"{name} is '{text}'; expected METRIC=P such as time=3%,rss=5%")
        metric = metric_of(metric, name)
        result[metric] = None if value == OFF else ranges.percent(value, f"{metric} of {name}")
    return result


def special_pair(text):
    pattern, colon, limits = text.rpartition(":")
    if not colon or not pattern or "=" not in limits:
        raise InputError(f"--limit is '{text}'; expected WORKLOAD:METRIC=P such as larson*:time=8%")
    return pattern, pairs(limits, "--limit")


def metric_of(text, name):
    metric = SYNONYMS.get(text.strip(), text.strip())
    if metric not in METRICS:
        known = list(METRICS) + list(SYNONYMS)
        raise InputError(f"unknown metric '{text}' in {name}{nearest(text, known)}")
    return metric
