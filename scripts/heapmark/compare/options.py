"""Options of `heapmark compare`; apart from the command, so that --help loads nothing heavy."""

EPILOGUE = """With one RUN: two of its contenders, by default the baseline and the only other. With
two: BASE-RUN and HEAD-RUN, each contender that both have. Verdicts: better, worse, same within
noise, cannot tell."""


def add_options(parser):
    parser.epilog = EPILOGUE
    parser.add_argument("other", metavar="RUN", nargs="?", help="the run to compare with the first")
    parser.add_argument("--base", metavar="NAME", help="contender that ratios refer to")
    parser.add_argument("--head", metavar="NAME", help="contender that is judged")
    parser.add_argument("--allocators", metavar="BASE,HEAD", help="both at once")
    parser.add_argument("--same", metavar="P", default="5%",
                        help="same: a larger difference is excluded (default: 5%%)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
