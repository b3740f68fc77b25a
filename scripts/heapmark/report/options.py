"""Options of `heapmark report`; apart from the command, so that --help loads nothing heavy."""


def add_options(parser):
    add = parser.add_argument
    add("--out", metavar="FILE", help="where to write it (default: RUN/report.html)")
    add("--pdf", action="store_true", help="write a PDF beside it as well; needs chromium")
