#!/bin/sh
# sanitizers.sh ROOT: the tests once more under ASan and UBSan, and the threaded ones under TSan.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$(find "$root/allocators/ptmalloc" "$root/allocators/common" -name '*.c' ! -name preload.c ! -name 'descriptor*')
common="-std=gnu17 -g -O1 -D_GNU_SOURCE -fno-strict-aliasing -I$root/allocators/ptmalloc -I$root/allocators/common"

# build NAME FLAGS TEST...
build() {
    name=$1
    flags=$2
    shift 2
    for t in "$@"; do
        # shellcheck disable=SC2086
        cc $common $flags $sources "$root/tests/ptmalloc/${t}_test.c" "$root/tests/ptmalloc/model.c" \
            -o "$work/$name-$t" -lcmocka -pthread
    done
}

build asan "-fsanitize=address,undefined -fno-sanitize-recover=all" api model refuse threads
build tsan "-fsanitize=thread" threads
for knobs in "" "arenas=1:tcache=0"; do
    export HEAPMARK_PTMALLOC="$knobs"
    for t in api model refuse threads; do
        echo "asan $t '$knobs'"
        "$work/asan-$t"
    done
    # TSan needs the address layout of older kernels, which an unrandomised one resembles.
    echo "tsan threads '$knobs'"
    TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" setarch -R "$work/tsan-threads"
done
