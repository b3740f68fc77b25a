"""Options of `detectable`; apart from the command, so that --help loads nothing heavy."""


def add_options(parser):
    add = parser.add_argument
    add("workload", metavar="WORKLOAD", nargs="+", help="workloads of the run")
    add("--blocks", metavar="N", type=int, required=True, help="blocks that will run")
    add("--turns", metavar="N", type=int, default=0, help="turns of each trial, 0 for none")
