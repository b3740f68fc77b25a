"""The command `heapmark compare RUN [RUN]`."""

from heapmark import checks, load, pairing, ranges
from heapmark.compare import judge, render
from heapmark.errors import InputError

def command(options):
    base, head = wanted(options)
    margin = ranges.percent(options.same, "--same")
    if options.json and options.markdown:
        raise InputError("--json and --markdown exclude each other; call compare twice")
    first = load.load_run(options.run)
    if options.other:
        pairings = pairing.across(first, load.load_run(options.other), base, head)
    else:
        pairings = [pairing.within(first, base, head)]
    sections = [
        (pair, judge.rows(pair, margin), checks.flags(pair) + checks.levels(pair))
        for pair in pairings
    ]
    form = render.text
    if options.json or options.markdown:
        form = render.as_json if options.json else render.as_markdown
    print(form(sections), end="")


def wanted(options):
    """The names given for base and head; None for what was not."""
    if options.allocators is None:
        return options.base, options.head
    if options.base or options.head:
        raise InputError("--allocators already names both; leave out --base and --head")
    parts = options.allocators.split(",")
    if len(parts) != 2 or not all(parts):
        raise InputError(f"--allocators is '{options.allocators}'; expected BASE,HEAD")
    return parts
