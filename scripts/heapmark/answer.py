"""The answer: who is best for time, memory and tail, and who cannot be told from the best."""

from dataclasses import dataclass

from heapmark.cells import short_label
from heapmark.comparison import CANNOT_TELL, TIE, verdict

QUESTIONS = {
    "time": "Fastest",
    "memory": "Leanest",
    "p99": "Shortest tail (99 % of malloc calls)",
}


@dataclass(frozen=True)
class Best:
    """The first of a ranking by one metric."""

    question: str
    metric: str
    label: str
    estimate: object  # Estimate of its ratio to the baseline
    alike: tuple  # others that cannot be told from it
    workloads: int  # that the figure is made of
    has_intervals: bool


def answers(comparison):
    found = [best(comparison, metric) for metric in QUESTIONS]
    return [one for one in found if one]


def ordered(comparison, metric):
    """[(label, Estimate)] of those that ran every workload, the best first."""
    whole = [
        label
        for label in comparison.labels
        if len(comparison.cells_of_label(label)) == len(comparison.measured_cells)
    ]
    figures = [(label, comparison.overall(metric, label)) for label in whole]
    return sorted(
        ((label, figure) for label, figure in figures if figure), key=lambda one: one[1].value
    )


def best(comparison, metric):
    """The Best by a metric, or None where fewer than two have it."""
    ranked = ordered(comparison, metric)
    if len(ranked) < 2:
        return None
    (leader, estimate), *others = ranked
    noise = comparison.noise_of(comparison.overall_cells(metric), metric)
    alike = tuple(
        label
        for label, _ in others
        if verdict(comparison.overall(metric, label, against=leader), noise) in (TIE, CANNOT_TELL)
    )
    return Best(
        question=QUESTIONS[metric],
        metric=metric,
        label=leader,
        estimate=estimate,
        alike=alike,
        workloads=len(comparison.overall_cells(metric)),
        has_intervals=comparison.run.blocks > 1,
    )


def cannot_rank(comparison):
    """Labels that lack a workload, so that they have no place in the answer."""
    return [
        label
        for label in comparison.labels
        if len(comparison.cells_of_label(label)) < len(comparison.measured_cells)
    ]


def listed(labels):
    """"a", "a and b", "a, b and c"."""
    names = [short_label(label) for label in labels]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
