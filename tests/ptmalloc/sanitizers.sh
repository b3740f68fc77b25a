#!/bin/sh
# sanitizers.sh ROOT: the tests once more under ASan and UBSan, and the threaded ones under TSan.
set -eu
root=$1
tests=$root/tests/ptmalloc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$(find "$root/allocators/ptmalloc" "$root/allocators/common" -name '*.c' ! -name preload.c ! -name 'descriptor*')
include="-I$root/allocators/ptmalloc -I$root/allocators/common"
beside() {
    echo "$tests/model.c $tests/api_shared.c"
    [ "$1" != misuse ] || echo "$tests/misuse_header.c $tests/misuse_link.c $tests/misuse_pointer.c"
}
. "$root/tests/system/sanitized.sh"

# With and without what only the cache and several arenas bring. Refusals take other paths in each, too, but are
# sanitized by default only, to save time; without sanitizers they run in every variant. Knobs and misuse set
# their variants themselves.
build asan "-fsanitize=address,undefined -fno-sanitize-recover=all" api knobs misuse model refuse threads
build tsan "-fsanitize=thread" threads
for knobs in "" "arenas=1:tcache=0"; do
    echo "HEAPMARK_PTMALLOC='$knobs'"
    export HEAPMARK_PTMALLOC="$knobs"
    under_asan api model threads
    under_tsan threads
done
export HEAPMARK_PTMALLOC=""
under_asan knobs misuse refuse
