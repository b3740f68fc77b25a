#!/bin/sh
# Installs what is missing, builds with warnings as errors, and runs every test through ctest: the
# plain build, then the same unit tests and fuzz targets under AddressSanitizer and UBSan.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/setup.sh"
cd "$root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# build PRESET [OPTION...]: its last words; all of them if it fails.
build() {
    cmake --preset "$1" -Wno-dev >/dev/null
    cmake --build --preset "$@" >"$log" || {
        cat "$log" >&2
        exit 1
    }
    tail -n 1 "$log"
}
build ci
build asan --target unit_and_fuzz
ctest --preset asan --parallel "$(nproc)" --label-regex 'unit|fuzz'
ctest --preset ci --parallel "$(nproc)" "$@"
