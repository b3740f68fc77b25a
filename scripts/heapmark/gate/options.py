"""Options of `heapmark gate`; apart from the command, so that --help loads nothing heavy."""

METRICS = ("time", "memory", "p99", "instructions")
SYNONYMS = {"rss": "memory"}
DEFAULT_LIMITS = "time=3%,rss=5%"

EPILOGUE = """BASE and HEAD are shared objects or allocators of 'heapmark list', which are then
measured side by side; or two run directories; or BASE is a file that --save-baseline wrote. Exit
code: 0 pass, 1 regression, 2 wrong input, 3 cannot tell within the budget."""


def add_options(parser):
    parser.epilog = EPILOGUE
    add_sides(parser)
    add_limits(parser)
    add_outputs(parser)


def add_sides(parser):
    add = parser.add_argument
    add("--base", metavar="BASE", required=True, help="before: a .so, a run or a baseline file")
    add("--head", metavar="HEAD", required=True, help="now: a .so or a run")
    add("--base-label", metavar="NAME", help="contender of the run BASE")
    add("--head-label", metavar="NAME", help="contender of the run HEAD")
    add("--job", metavar="JOB", default="ci", help="job to run (default: ci)")
    add("--turns", metavar="N", type=int, help="turns of each trial (default: the job's, else 16)")
    add("--out", metavar="DIR", help="run directory to make (default: results/gate-DATE-TIME)")
    add("--time-budget", metavar="TIME", default="120s", help="at most so long (default: 120s)")


def add_limits(parser):
    add = parser.add_argument
    add("--max-regress", metavar="LIMITS", action="append", default=[],
        help="3%% (of time), or METRIC=P,... with time, rss, p99, instructions; P is a percentage "
        f"or 'off' (default: {DEFAULT_LIMITS.replace('%', '%%')})")  # fmt: skip
    add("--limit", metavar="WORKLOAD:METRIC=P,...", action="append", default=[],
        help="limits of some workloads; * and ? match any text, the last match holds")  # fmt: skip
    add("--metrics", metavar="LIST", help="judge these metrics only; instructions alone: one run")
    add("--allow", metavar="FILE", help="known regressions, each with its reason and last day")


def add_outputs(parser):
    add = parser.add_argument
    add("--json", metavar="FILE", help="write the result as JSON ('-': standard output)")
    add("--junit", metavar="FILE", help="write it as JUnit XML")
    add("--markdown", metavar="FILE", help="write it as Markdown for a pull request")
    add("--github", action="store_true", help="print annotations for GitHub Actions as well")
    add("--history", metavar="FILE", help="append the figures to a CSV file")
    add("--commit", metavar="ID", help="what the history calls this point (default: git's HEAD)")
    add("--save-baseline", metavar="FILE", help="keep HEAD's figures relative to system in a file")
