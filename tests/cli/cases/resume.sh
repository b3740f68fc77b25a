# A run goes on under a new name and from another directory, but not with another trace.
export HEAPMARK_PYTHON=/bin/true
quiet() { "$@" 2>&1 | grep -v '^\['; }
here=$PWD
cp "$SOURCE/workloads/traces/xz.hmt" app.hmt
quiet heapmark run app.hmt --allocators=system --work=1 --reps=1 --latency=no --out=begun
mv begun renamed
(cd / && quiet heapmark run --resume="$here/renamed" --reps=2)
cut -d, -f1,2,3 renamed/trials.csv
cp "$SOURCE/workloads/traces/sqlite3.hmt" app.hmt
quiet heapmark run --resume=renamed --reps=3
cut -d, -f1,2,3 renamed/trials.csv
