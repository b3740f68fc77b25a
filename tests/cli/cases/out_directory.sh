# The output directory: not writable, or in use.
try() { echo "\$ heapmark $*"; heapmark "$@"; echo "exit $?"; }
try run null --allocators=system --work=1 --reps=1 --out=/proc/nowhere
touch file
try run null --allocators=system --work=1 --reps=1 --out=file/run
mkdir -p taken && touch taken/trials.csv
try run null --allocators=system --work=1 --reps=1 --out=taken
touch taken/job.ini
try run null --allocators=system --work=1 --reps=1 --out=taken
# A disk without room: nothing is left that the next try would meet.
(trap '' XFSZ; ulimit -f 0; try run null --allocators=system --work=1 --reps=1 --out=full)
ls full
export HEAPMARK_PYTHON=/bin/true
# Runs without a name of their own that begin in one second get directories of their own.
heapmark run null --allocators=system --work=1 --reps=1 --latency=no 2>/dev/null &
heapmark run null --allocators=system --work=1 --reps=1 --latency=no 2>/dev/null &
heapmark run null --allocators=system --work=1 --reps=1 --latency=no 2>/dev/null && wait
ls results/*/trials.csv | wc -l
