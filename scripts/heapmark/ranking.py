"""The answer on the terminal: who is best overall, who where, what failed, how sure that is."""

import math
import re

from heapmark import advice, fallbacks, floor, remedy, terminal
from heapmark.cells import short_label
from heapmark.comparison import (
    BASELINE, CANNOT_TELL, FASTER, SAME_MARGIN, SLOWER, TIE, Comparison, band_words,
)  # fmt: skip
from heapmark.load import cells_of, describe_failures
from heapmark.terminal import plural

NAME_SHARE = 0.3  # of the width at most goes to a matrix's names
LABEL_SIZE_MIN = 12
OVERALL_OTHERS = 60  # characters of the overall table besides the allocators' names
COLUMN_SIZE = 11  # of a matrix's column at most
VERDICT_STYLES = {FASTER: "green", SLOWER: "red", TIE: "dim", CANNOT_TELL: "yellow"}
SHORT_STATUSES = {"preload-failed": "preload", "unsupported": "unsupp."}
MEBI = 1 << 20
# What FASTER and SLOWER are called in a ranking that is not by time.
WORDS = {
    "time": {},
    "p99": {FASTER: "shorter", SLOWER: "longer"},
    "memory": {FASTER: "leaner", SLOWER: "fatter"},
}


def render(run):
    """The whole text, for the width of the terminal at hand. Ends with a newline."""
    comparison = Comparison(run)
    sections = [header(comparison)]
    if comparison.measured_cells:
        sections += [
            overall(comparison),
            matrix(comparison, TimeMatrix(comparison)) if comparison.overall_cells("time") else [],
            matrix(comparison, MemoryMatrix(comparison)),
        ]
        sections.append(advice.lines(comparison))
    sections += [failures(comparison), floors(run), warnings(run), files(comparison)]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


# ---- what was run -------------------------------------------------------------------------------


def header(comparison):
    run = comparison.run
    parts = [plural(run.blocks, "block")]
    if comparison.cells:
        parts.insert(0, plural(len(comparison.labels), "allocator"))
        parts.insert(0, plural(len(comparison.cells), "workload"))
    if "seed" in run.env["run"]:
        parts.append(f"seed {run.env['run']['seed']}")
    lines = terminal.paragraph(f"run {run.name}: {', '.join(parts)}")
    lines += terminal.paragraph("machine: " + machine(run.env["machine"]))
    if comparison.cells_without_baseline:
        lines += terminal.paragraph(
            f"not compared: {plural(comparison.cells_without_baseline, 'workload')} that ran "
            "without a baseline; --baseline=system gives one"
        )
    if run.idle:
        lines += terminal.paragraph(f"not compared: {idle(run)}")
    if comparison.measured_cells:
        lines += terminal.paragraph(noise(comparison))
        better = "faster, or leaner" if comparison.ranked_by == "time" else "better"
        lines += terminal.paragraph(
            f"all ratios are to {short_label(run.baseline)}, taken inside blocks: "
            f"less than 1 is {better}"
        )
    return lines


def idle(run):
    """What takes no part in any ratio, as a clause; ends without a full stop."""
    return f"{', '.join(run.idle)}, for want of operations that a ratio could be of"


def machine(facts):
    parts = [str(facts.get("cpu") or "unknown CPU")]
    for key, noun in (("cpus", "CPU"), ("nodes", "node")):
        if isinstance(facts.get(key), int):
            parts.append(plural(facts[key], noun))
    return ", ".join(parts + [str(facts[key]) for key in ("kernel", "libc") if facts.get(key)])


def noise(comparison):
    baseline = short_label(comparison.baseline)
    if comparison.aa is None:
        return "noise: not measured (no --aa); a tie is what surely lies within 5 % of 1"
    metric = comparison.ranked_by
    by_cell = [comparison.noise_of([one], metric) for one in comparison.overall_cells(metric)]
    by_cell = [value for value in by_cell if not math.isnan(value)]
    if not by_cell or math.isnan(comparison.overall_noise):
        return f"noise: too few good trials of {baseline} against itself to tell; use --reps=8"
    text = (
        f"noise{'' if metric == 'time' else f' of {metric}'}: "
        f"{baseline} against itself strays up to {percent(comparison.overall_noise)}"
    )
    if len(by_cell) == 1:
        return text
    return f"{text} overall, {100 * min(by_cell):.1f} to {percent(max(by_cell))} by workload"


def percent(fraction):
    return f"{100 * fraction:.1f} %"


# ---- the overall ranking ------------------------------------------------------------------------


def overall(comparison):
    ranked_by, others = comparison.ranked_by, other_metrics(comparison)
    rows = [["rank", "allocator", ranked_by, "95 % interval", *others, "verdict"]]
    styles = {(0, column): "bold" for column in range(len(rows[0]))}
    standings = comparison.ranking()
    for standing in standings:
        styles[len(rows), len(rows[0]) - 1] = VERDICT_STYLES.get(standing.verdict)
        rows.append(standing_row(comparison, standing))
    align = "<<><" + ">" * len(others) + "<"
    return terminal.table(rows, align, styles) + overall_notes(comparison, standings)


def other_metrics(comparison):
    """Columns beside the one that ranks: where that is not time, there is no time."""
    return [metric for metric in ("memory", "p99") if metric != comparison.ranked_by]


def standing_row(comparison, standing):
    cells = len(comparison.cells)
    rank = f"{standing.rank}{'=' if standing.shared else ''}" if standing.rank else "-"
    text = WORDS[comparison.ranked_by].get(standing.verdict, standing.verdict)
    if standing.cells < cells:
        text += f" ({standing.cells}/{cells})"
    is_baseline = standing.verdict == BASELINE
    label_size = max(LABEL_SIZE_MIN, terminal.width() - OVERALL_OTHERS)
    return [
        rank,
        terminal.shorten(short_label(standing.label), label_size),
        ratio(standing.ranked),
        "" if is_baseline else interval(standing.ranked),
        *(ratio(getattr(standing, metric)) for metric in other_metrics(comparison)),
        text,
    ]


def ratio(estimate, digits=3):
    """A ratio with fewer decimals the larger it is; "-" where there is none."""
    if estimate is None:
        return "-"
    digits = max(0, digits - max(0, int(math.log10(max(estimate.value, 1)))))
    return f"{estimate.value:.{digits}f}"


def interval(estimate):
    if not estimate.has_interval:
        return "-"
    return f"{estimate.low:.3f} .. {estimate.high:.3f}"


def overall_notes(comparison, standings):
    notes = []
    cells = len(comparison.cells)
    words = WORDS[comparison.ranked_by]
    better, worse = (words.get(word, word) for word in (FASTER, SLOWER))
    baseline = short_label(comparison.baseline)
    noise_words = band_words(comparison.overall_noise)
    if any(standing.verdict == TIE for standing in standings):
        notes.append(f"tie: surely {noise_words}, so neither {better} nor {worse} than {baseline}")
    untold = [one.ranked for one in standings if one.verdict == CANNOT_TELL]
    if untold and comparison.run.blocks > 1:
        more = remedy.words(untold, comparison.overall_noise)
        notes.append(f"cannot tell: too few blocks to call it {better}, {worse} or a tie{more}")
    if any(standing.shared for standing in standings):
        notes.append("=: cannot be told from the others of that rank")
    ranked = [one.ranked.value for one in standings if one.rank]
    if ranked != sorted(ranked):
        notes.append("rows go by rank: who cannot be told from a rank's first stands there, however "
                     "uncertain its figure")  # fmt: skip
    if any(standing.rank == 0 for standing in standings):
        notes.append("-: no rank, for want of figures of some workloads (has/all)")
    if comparison.big_cells and len(comparison.big_cells) < cells:
        notes.append(
            f"memory: over {plural(len(comparison.big_cells), 'workload')}, with at least "
            "4 MiB of live data"
        )
    if comparison.ranked_by != "time":
        notes.append("no time: in paced replays it is the recording's, not the allocator's")
    elif comparison.paced_cells:
        notes.append("time: without paced replays, whose time is the recording's")
    if comparison.run.blocks == 1:
        notes.append("one block gives no interval, so nothing can be told apart; use --reps=8")
    return [line for note in notes for line in terminal.paragraph("  " + note, 4)]


# ---- workloads by allocators --------------------------------------------------------------------


class TimeMatrix:
    title, unit = "time", "ns/op"

    def __init__(self, comparison):
        self.comparison = comparison
        self.has_untold = False  # in a field that was asked for

    def baseline_text(self, cell):
        if cell.is_paced:
            return "-"
        value = self.comparison.baseline_figures[cell]["ns_per_op"]
        return f"{value:.1f}" if value < 1000 else f"{value:.0f}"

    def text(self, cell, label):
        if cell.is_paced:
            return "- ", "dim"
        estimate = self.comparison.cell_ratio("time", cell, label)
        verdict = self.comparison.cell_verdict(cell, label, estimate)
        mark = {TIE: "~", CANNOT_TELL: "?"}.get(verdict, " ")
        self.has_untold |= verdict == CANNOT_TELL
        return ratio(estimate, 2) + mark, VERDICT_STYLES.get(verdict)

    def notes(self):
        notes = [f"~: tie, inside the noise or {100 * SAME_MARGIN:.0f} %"]
        if self.has_untold:
            notes.append("?: too few blocks to tell")
        if self.comparison.paced_cells:
            notes.append("-: paced, so that the time is the recording's")
        return notes


class MemoryMatrix:
    title, unit = "peak memory", "MiB"

    def __init__(self, comparison):
        self.comparison = comparison
        self.small = set(comparison.measured_cells) - set(comparison.big_cells)

    def mark(self, cell):
        return "*" if cell in self.small else " "

    def baseline_text(self, cell):
        value = self.comparison.baseline_figures[cell]["heap_bytes"]
        return ("-" if math.isnan(value) else f"{value / MEBI:.1f}") + self.mark(cell)

    def text(self, cell, label):
        estimate = self.comparison.cell_ratio("memory", cell, label)
        return ratio(estimate, 2) + self.mark(cell), "dim" if cell in self.small else None

    def notes(self):
        return ["*: little live data, mostly the allocator's fixed cost"] if self.small else []


def matrix(comparison, kind):
    """A line per workload, a column per allocator; as many tables as the width asks for."""
    size = int(terminal.width() * NAME_SHARE)
    names = [kind.title, ""] + [
        terminal.shorten(comparison.names[cell], size) for cell in comparison.cells
    ]
    first = [(name, None) for name in names]
    labels = [standing.label for standing in comparison.ranking()]
    labels += [label for label in comparison.labels if label not in labels]
    baseline = matrix_column(comparison, kind, comparison.baseline)
    others = [
        matrix_column(comparison, kind, label) for label in labels if label != comparison.baseline
    ]
    room = terminal.width() - column_width(first) - column_width(baseline)
    lines = []
    for group in groups(others, room):
        lines += matrix_table([first, baseline] + group) + [""]
    return lines[:-1] + terminal.paragraph("  " + "; ".join(kind.notes()), 4)


def matrix_column(comparison, kind, label):
    """The column's fields as (text, style), the last character of each kept for a mark."""
    name, second = title_lines(short_label(label))
    if label == comparison.baseline:
        second = kind.unit
    titles = [(terminal.shorten(text, COLUMN_SIZE) + " ", "bold") for text in (name, second)]
    return titles + [matrix_field(comparison, kind, cell, label) for cell in comparison.cells]


def title_lines(label):
    """A label on two lines: its knobs on the second, or the second half of a long name."""
    name, _, variant = label.partition(":")
    if variant or len(name) <= COLUMN_SIZE:
        return name, variant
    half = re.match(r".{1,%d}(?=[-_.])" % COLUMN_SIZE, name)
    return (half[0], name[half.end() :]) if half else (name, "")


def column_width(column):
    return max(len(text) for text, _ in column) + 1  # the gap before the next


def groups(columns, room):
    """Columns in as few groups as fit side by side into `room` characters; at least one group."""
    result, left = [[]], room
    for column in columns:
        if result[-1] and column_width(column) > left:
            result.append([])
            left = room
        result[-1].append(column)
        left -= column_width(column)
    return result


def matrix_table(columns):
    rows = [[text for text, _ in row] for row in zip(*columns)]
    styles = {
        (row, at): style
        for at, column in enumerate(columns)
        for row, (_, style) in enumerate(column)
    }
    return terminal.table(rows, "<" + ">" * (len(columns) - 1), styles, gap=" ")


def matrix_field(comparison, kind, cell, label):
    """(text, style) of one field: a figure, a failure's status, or "-" for what was not run."""
    failed = comparison.failures.get((cell, label))
    if failed is not None:
        status = failed["status"].iloc[0]
        return SHORT_STATUSES.get(status, status) + " ", "red"
    if label not in comparison.table("time").get(cell, ()):
        return "- ", None
    if label == comparison.baseline:
        text = kind.baseline_text(cell)
        return text if text[-1] in "* " else text + " ", None
    return kind.text(cell, label)


# ---- what else must be said ---------------------------------------------------------------------


def failures(comparison):
    """Every contender that failed, with the first failure's detail. Floor trials are included."""
    failed = comparison.run.failed
    if failed.empty:
        return []
    lines = [terminal.paint("failed trials (never read as results):", "red")]
    total = comparison.run.trials.groupby(["cell", "label"], sort=False).size()
    for (cell, label), part in failed_in_order(comparison):
        name = comparison.names.get(cell, cell.workload)
        detail = next((text for text in part["detail"] if text), "no detail was recorded")
        lines += terminal.paragraph(
            f"  {short_label(label)}, {name}: {describe_failures(part)} of {total[cell, label]}: "
            f"{detail}",
            4,
        )
    return lines


def failed_in_order(comparison):
    """((cell, label), failed trials), by allocator and then by workload, as everywhere else."""
    failed = comparison.run.failed
    cells = cells_of(failed)
    labels = {label: at for at, label in enumerate(comparison.labels)}
    groups = list(failed.groupby(["cell", "label"], sort=False))
    return sorted(
        groups, key=lambda group: (labels.get(group[0][1], len(labels)), cells.index(group[0][0]))
    )


def floors(run):
    return [line for text in floor.lines(run) for line in terminal.paragraph(f"floor: {text}")]


def warnings(run):
    texts = run.env.get("warnings")
    texts = (texts if isinstance(texts, list) else []) + fallbacks.sentences(run)
    return [line for text in texts for line in terminal.paragraph(f"warning: {text}")]


def files(comparison):
    run = comparison.run
    drawn = run.path / "plots"
    lines = [f"trials: {run.path / 'trials.csv'}"]
    if drawn.is_dir() and any(drawn.iterdir()):
        lines.append(f"plots:  {drawn}")
    elif comparison.can_be_plotted:
        lines.append(f"plots:  'heapmark plot {run.path}' draws them")
    return [terminal.printable(line) for line in lines]
