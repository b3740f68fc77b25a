"""Trials in which an allocator ran by a fallback of its own, and not as it was asked to."""

from heapmark.cells import short_label
from heapmark.load import OK
from heapmark.terminal import plural

# The words that an allocator puts into its trials' flags, and what they mean for its figures.
FLAGS = {
    "percpu=thread": "ran with a cache a thread in place of one a CPU, for want of restartable "
    "sequences (there are none under valgrind), and the figures are of that",
}


def sentences(run, labels=None):
    """One for each contender, or for those of `labels`, that fell back in a trial that went well."""
    return [
        f"{short_label(label)} {FLAGS[word]}: {word}, in {plural(count, 'trial')}"
        for (label, word), count in found(run).items()
        if labels is None or label in labels
    ]


def found(run):
    """{(label, word): trials}; who was asked for it by a knob did not fall back."""
    counts = {}
    if "flags" not in run.trials:
        return counts
    ok = run.trials[run.trials["status"] == OK]
    for label, variant, flags in zip(ok["label"], ok["variant"], ok["flags"]):
        for word in flags.split():
            if word in FLAGS and word not in variant.split(","):
                counts[label, word] = counts.get((label, word), 0) + 1
    return counts
