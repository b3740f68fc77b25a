"""What plots draw: a Comparison with the files beside trials.csv, each read once when asked for."""

from functools import cached_property

import numpy as np

from heapmark import parallel, samples, side
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
        with parallel.started(samples.latencies, self.run) as latencies:
            assert None not in (self.timeline_cells, self.rates)
            if self.can_be_plotted:
                self.ranking()
                assert self.adjusted_p_values is not None
                for label in self.labels:
                    self.overall("memory", label)
            self.latencies = latencies()

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
        """{(cell, label): (calls, resident bytes without the harness's own, live bytes)}.

        Of the contender's first trial, in the order of calls; empty without timeline.csv.
        """
        table = side.read(self.run, "timeline.csv")
        if table is None or table.empty:
            return {}
        if "calls" not in table:
            raise InputError(f"'{self.run.path / 'timeline.csv'}' lacks the column 'calls'; "
                             "it is not the file that 'heapmark run' wrote")  # fmt: skip
        ok = self.run.ok
        trials = dict(zip(ok["trial"], zip(ok["cell"], ok["label"], ok["harness_bytes"])))
        table = table.sort_values(["trial", "calls"], kind="stable")
        trial, *columns = (table[name].to_numpy()
                           for name in ("trial", "calls", "rss_bytes", "live_bytes"))  # fmt: skip
        bounds = [0, *(np.flatnonzero(np.diff(trial)) + 1), len(trial)]
        found = {}
        for begin, end in zip(bounds, bounds[1:]):
            # Without the base nothing can be said of what the allocator holds.
            if not np.isnan(trials.get(trial[begin], (0, 0, np.nan))[2]):
                cell, label, harness = trials[trial[begin]]
                calls, resident, live = (column[begin:end] for column in columns)
                found.setdefault((cell, label), (calls, np.maximum(resident - harness, 0), live))
        return found

    @cached_property
    def timeline_cells(self):
        return {cell for cell, _ in self.timelines}
