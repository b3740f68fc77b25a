#!/bin/sh
# Formats the C sources in place (clang-format 14 and .clang-format).
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.c' '*.h' | xargs clang-format -i
