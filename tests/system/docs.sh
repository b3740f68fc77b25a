#!/bin/sh
# The generated pages of docs/ are those that this program would write.
set -eu
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$HEAPMARK_SOURCE/scripts/docs.sh" "$HEAPMARK_BUILD/heapmark" "$fresh"
for page in "$fresh"/*; do
    diff -u "$HEAPMARK_SOURCE/docs/$(basename "$page")" "$page" || {
        echo "run scripts/docs.sh and commit what it writes" >&2
        exit 1
    }
done
