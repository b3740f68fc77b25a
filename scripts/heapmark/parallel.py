"""Work in processes made by fork: they inherit the run instead of being sent it.

What they return is pickled; what they raise is raised here. With one CPU nothing is forked.
"""

import multiprocessing
import os
from contextlib import contextmanager

jobs_of_pool = ()  # what the processes inherit


def cpus():
    return min(len(os.sched_getaffinity(0)), 8)


def run_job(at):
    function, arguments = jobs_of_pool[at]
    return function(*arguments)


def each(function, arguments):
    """function(*each of the arguments), several at once; results in order."""
    global jobs_of_pool
    if cpus() == 1 or len(arguments) < 2:
        yield from (function(*one) for one in arguments)
        return
    jobs_of_pool = [(function, one) for one in arguments]
    with multiprocessing.get_context("fork").Pool(min(cpus(), len(arguments))) as pool:
        yield from pool.imap(run_job, range(len(arguments)))


@contextmanager
def started(function, *arguments):
    """Starts a call; the context's value waits for its result."""
    global jobs_of_pool
    if cpus() == 1:
        yield lambda: function(*arguments)
        return
    jobs_of_pool = [(function, arguments)]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        yield pool.apply_async(run_job, (0,)).get
