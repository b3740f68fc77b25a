"""heapmark's analysis: from a run directory to rankings and plots.

Data flows one way: load (a valid run or a refusal) -> compare (ratios inside blocks) ->
ranking, plots. Statistics know nothing of allocators; plots know nothing of files.
"""
