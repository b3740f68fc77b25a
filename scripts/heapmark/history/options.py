"""Options of `heapmark history`; apart from the command, so that --help loads nothing heavy."""


def add_options(parser):
    add = parser.add_argument
    add("file", metavar="FILE", help="what 'heapmark gate --history=FILE' wrote")
    add("--metric", metavar="NAME", help="this metric only")
    add("--workload", metavar="NAME", help="this workload only")
    add("--json", action="store_true", help="print JSON")
