# Turns without a call of the allocator have no rows: no ratio can be taken of them.
export HEAPMARK_PYTHON=/bin/true
heapmark run null pair --allocators=system --work=100 --turns=2 --reps=1 --latency=no --out=run 2>&1 | grep -v '^\['
cut -d, -f4,12 run/trials.csv
cut -d, -f4,9 run/turns.csv
