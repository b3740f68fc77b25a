"""The command `heapmark report RUN`."""

from pathlib import Path

from heapmark import load
from heapmark.errors import InputError


def command(options):
    from heapmark.plots.data import PlotData
    from heapmark.report import page, pdf

    if options.pdf:
        pdf.find()  # before the work, not after it
    data = PlotData(load.load_run(options.run))
    if not data.measured_cells:
        raise InputError(
            f"run '{data.run.name}' has nothing to report: no workload ran well under a baseline; "
            "give it one with --baseline=system"
        )
    target = Path(options.out) if options.out else data.run.path / "report.html"
    target.write_text(page.render(data), encoding="utf-8")
    print(target)
    if options.pdf:
        printed = target.with_suffix(".pdf")
        pdf.write(target, printed)
        print(printed)
