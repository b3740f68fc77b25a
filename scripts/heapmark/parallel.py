"""Work in processes made by fork: they inherit the run instead of being sent it.

What they return is pickled; what they raise is raised here. With one CPU nothing is forked.
"""

import multiprocessing
import os
import signal
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM)

jobs_of_pool = ()  # what the processes inherit


def cpus():
    return min(len(os.sched_getaffinity(0)), 8)


def pool(processes):
    """Neither signal reaches a process before it has its own way with them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        return multiprocessing.get_context("fork").Pool(processes, leave_signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals():
    """Ctrl-C is the parent's to tell of, and SIGTERM is how it ends its pool: neither has a trace."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


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
    with pool(min(cpus(), len(arguments))) as processes:
        yield from processes.imap(run_job, range(len(arguments)))


@contextmanager
def started(function, *arguments):
    """Starts a call; the context's value waits for its result."""
    global jobs_of_pool
    if cpus() == 1:
        yield lambda: function(*arguments)
        return
    jobs_of_pool = [(function, arguments)]
    with pool(1) as processes:
        yield processes.apply_async(run_job, (0,)).get
