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
    same: tuple  # others that are no different, inside the noise or the margin
    untold: tuple  # and those that so few blocks cannot tell from it
    noise: float  # of the metric, NaN where not measured
    workloads: int  # that the figure is made of
    has_intervals: bool

    @property
    def alike(self):
        """All that it may not be called better than."""
        return self.same + self.untold


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
    found = {
        label: verdict(comparison.overall(metric, label, against=leader), noise)
        for label, _ in others
    }
    return Best(
        question=QUESTIONS[metric],
        metric=metric,
        label=leader,
        estimate=estimate,
        same=tuple(label for label in found if found[label] == TIE),
        untold=tuple(label for label in found if found[label] == CANNOT_TELL),
        noise=noise,
        workloads=len(comparison.overall_cells(metric)),
        has_intervals=comparison.run.blocks > 1,
    )


def listed(labels, last="and"):
    """"a", "a and b", "a, b and c"."""
    names = [short_label(label) for label in labels]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" {last} " + names[-1]
