# What a trial may take: its peak and time are judged though it ended between two looks; a calibration that fails is said.
export HEAPMARK_PYTHON=/bin/true
quiet() { "$@" 2>&1 | grep -v '^\[' | sed 's/peak was [0-9.]*[km]/peak was N/'; }
run() { quiet heapmark run pair --allocators=system --latency=no "$@"; }
run --work=1 --reps=1 --memory-limit=1m --out=given
quiet cut -d, -f12,13 given/trials.csv
run --trial-time=1ms --reps=1 --memory-limit=1m --out=calibrated
run --work=1 --reps=1 --memory-limit=100m --out=enough
cut -d, -f12,13 enough/trials.csv
run --work=1000000 --reps=1 --timeout=2ms --out=late
cut -d, -f12 late/trials.csv
