"""What a gate found, ready to be written in any form."""

import datetime
from dataclasses import dataclass, field

from heapmark.gate.decision import OPEN, PASS, REGRESSION
from heapmark.gate.judge import ALLOWED

EXIT_CODES = {PASS: 0, REGRESSION: 1, OPEN: 3}
ORDER = (REGRESSION, OPEN, ALLOWED, PASS)


@dataclass(frozen=True)
class Result:
    """`verdict` is that of the whole gate; `findings` those of its comparisons."""

    verdict: str
    base: str
    head: str
    findings: list
    blocks: int
    looks: int
    seconds: float  # spent measuring, 0 where nothing was run
    notes: list = field(default_factory=list)
    job: str = ""
    machine: str = ""
    run: str = ""  # the run directory, "" where there are several
    taken: datetime.datetime = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc)
    )

    @property
    def exit_code(self):
        return EXIT_CODES[self.verdict]

    def sorted(self):
        """Findings, the worst states first, otherwise as they were judged."""
        return sorted(self.findings, key=lambda finding: ORDER.index(finding.state))

    def count(self, state):
        return sum(finding.state == state for finding in self.findings)

    @property
    def summary(self):
        counts = ", ".join(f"{self.count(s)} {s}" for s in ORDER if self.count(s))
        return f"{self.verdict}: {counts or 'nothing was judged'}"
