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
# A run that is still going is not resumed by another; once it was killed, it is.
heapmark run null --allocators=system --baseline=none --reps=20 --trial-time=100ms --out=going 2>/dev/null &
run=$!
until [ "$(wc -l <going/trials.csv)" -ge 2 ]; do sleep 0.02; done 2>/dev/null
kill -STOP $run
heapmark run --resume=going 2>&1 | sed "s/process $run;/process N;/"
heapmark run --resume=going 2>/dev/null || echo "exit $?"
kill -KILL $run
{ wait $run; } 2>/dev/null
quiet heapmark run --resume=going
cut -d, -f3 going/trials.csv | tr -d '\r' | tr '\n' ' '; echo
