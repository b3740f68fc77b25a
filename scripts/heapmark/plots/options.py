"""Options of `heapmark plot`; apart from the command, so that --help loads nothing heavy."""


def add_options(parser):
    add = parser.add_argument
    add("--only", metavar="NAME[,NAME]", help="draw these plots only")
    add("--workload", metavar="TEXT[,TEXT]", help="only workloads whose names hold TEXT")
    add("--format", default="svg,png", metavar="LIST", help="svg, png or both (default: svg,png)")
    add("--out", metavar="DIR", help="where plots of a trace or a history go (default: NAME.plots)")
