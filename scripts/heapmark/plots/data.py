"""What plots draw: a Comparison with the files beside trials.csv, each read once when asked for."""

from functools import cached_property

from heapmark import samples, side
from heapmark.comparison import Comparison
from heapmark.errors import InputError


class PlotData(Comparison):
    """A Comparison of all of a run's cells, or of those whose names hold one of `workloads`."""

    def __init__(self, run, workloads=()):
        super().__init__(run)
        if workloads:
            kept = [cell for cell in self.cells if any(w in self.names[cell] for w in workloads)]
            if not kept:
                known = ", ".join(f"'{self.names[cell]}'" for cell in self.cells[:5])
                raise InputError(
                    f"run '{run.name}' has no workload that holds '{','.join(workloads)}'; "
                    f"it has {known}" + (" and more" if len(self.cells) > 5 else "")
                )
            self.cells = kept

    def prepare(self):
        """Read and compute what all plots share, so that processes made later need not."""
        self.latency_cells, self.timeline_cells, self.rates  # noqa: B018
        if self.can_be_plotted:
            self.ranking()
            for label in self.labels:
                self.overall("memory", label)

    @cached_property
    def latencies(self):
        """{(cell, label, op): [samples.Histogram of each block]}."""
        return samples.latencies(self.run)

    @cached_property
    def latency_cells(self):
        """The (cell, op) that there are latencies of."""
        return {(cell, op) for cell, _, op in self.latencies}

    @cached_property
    def rates(self):
        """{(cell, label): calls a second, one a block}."""
        ok = self.run.ok[["trial", "cell", "label", "ops", "wall_ns"]].dropna()
        ok = ok[ok["ops"] > 0]
        groups = ok.groupby(["cell", "label"], sort=False)
        return {key: (part["ops"] / part["wall_ns"] * 1e9).to_numpy() for key, part in groups}

    @cached_property
    def timelines(self):
        """{(cell, label): rows of timeline.csv of the contender's first trial}; may be empty.

        Found by trial, since telling apart cells row by row would take most of a plot's time.
        """
        table = side.read(self.run, "timeline.csv")
        if table is None or table.empty:
            return {}
        if "calls" not in table:
            raise InputError(f"'{self.run.path / 'timeline.csv'}' lacks the column 'calls'; "
                             "it is not the file that 'heapmark run' wrote")  # fmt: skip
        trials = self.run.ok.set_index("trial")[["cell", "label", "harness_bytes"]]
        found = {}
        for trial, part in table.groupby("trial", sort=True):
            if trial in trials.index:
                cell, label, harness = trials.loc[trial]
                part = part.sort_values("calls", kind="stable")
                found.setdefault((cell, label), part.assign(harness_bytes=harness))
        return found

    @cached_property
    def timeline_cells(self):
        return {cell for cell, _ in self.timelines}
