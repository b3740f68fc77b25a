#!/bin/sh
# From a fresh machine to a ranking: installs what is missing, builds, runs the job `quick` (or the
# arguments, as for `heapmark run`), draws the plots.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/setup.sh"
cd "$root"
cmake --preset release -Wno-dev >/dev/null
cmake --build --preset release | tail -n 1
[ "$#" -gt 0 ] || set -- quick
run="$root/results/$(basename "$1" .ini)-$(date +%Y%m%d-%H%M%S)"
status=0
./build/heapmark run "$@" --out="$run" || status=$?
[ -f "$run/trials.csv" ] || exit "$status"
./build/heapmark plot "$run" || status=$?
exit "$status"
