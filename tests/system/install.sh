#!/bin/sh
# What `cmake --install` puts down works by itself, wherever it lies.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$HEAPMARK_BUILD" --prefix "$prefix/first" >/dev/null
mv "$prefix/first" "$prefix/moved"
cd "$prefix"
PATH=$prefix/moved/bin:$PATH
heapmark list traces --csv | grep -q "moved/share/heapmark/traces/"
heapmark list allocators --csv | grep -q "^null,installed,.*moved/lib/"
heapmark run pair sqlite3 --allocators=system,jemalloc --reps=2 --trial-time=5ms --out=run >ranking
grep -q '^trials: ' ranking
heapmark plot run >plots
test "$(wc -l <plots)" -ge 4
heapmark record -o ls.hmt -- ls / >/dev/null
heapmark trace verify ls.hmt
