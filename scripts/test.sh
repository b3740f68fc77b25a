#!/bin/sh
# Installs what is missing, builds with warnings as errors, and runs every test through ctest: the
# plain build, then the same unit tests and fuzz targets under AddressSanitizer and UBSan.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/setup.sh"
cd "$root"
for preset in ci asan; do
    cmake --preset "$preset" -Wno-dev >/dev/null
    cmake --build --preset "$preset" | tail -n 1
done
ctest --preset asan --parallel "$(nproc)" --label-regex 'unit|fuzz'
ctest --preset ci --parallel "$(nproc)" "$@"
