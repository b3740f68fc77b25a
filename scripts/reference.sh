#!/bin/sh
# Takes the committed reference run anew, draws it, and copies the README's pictures from it.
# --redraw leaves the figures as they are. HEAPMARK names the program (default: build/heapmark).
# Exit codes: the program's own; 2 for wrong usage.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
heapmark=${HEAPMARK:-$root/build/heapmark}
run=$root/results/reference

case "$#${1:-}" in
0)
    # A run directory is never written over: the old one goes when the new one is whole.
    new=$(mktemp -d "$root/results/reference-new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    status=0
    "$heapmark" run quick --timeline --out="$new/reference" || status=$?
    # 1: some trial failed. That is a result, and the report shows it.
    [ "$status" -le 1 ] || exit "$status"
    rm -rf "$run"
    mv "$new/reference" "$run"
    "$heapmark" plot "$run"
    "$heapmark" report "$run"
    ;;
1--redraw)
    # Without the large files these plots cannot be drawn again, and stay.
    "$heapmark" plot "$run"
    [ ! -e "$run/latency.csv" ] || "$heapmark" report "$run"
    ;;
*)
    echo "usage: scripts/reference.sh [--redraw]" >&2
    exit 2
    ;;
esac
for name in time pareto latency memory; do
    [ ! -e "$run/plots/$name.png" ] || cp "$run/plots/$name.png" "$root/docs/images/$name.png"
done
du -sh "$run/report.html" "$run/plots"
