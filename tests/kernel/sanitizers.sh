#!/bin/sh
# sanitizers.sh ROOT: the tests of SLUB, kmalloc and malloc once more under ASan and UBSan, and the
# threaded ones under TSan, where each thread has a slot of its own.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$(find "$root/allocators/kernel" "$root/allocators/common" -name '*.c' ! -name preload.c ! -name 'descriptor*')
common="-std=gnu17 -g -O1 -D_GNU_SOURCE -fno-strict-aliasing -I$root/allocators/kernel -I$root/allocators/common
    -I$root/tests/kernel/as_ptmalloc -I$root/tests/ptmalloc"

# build NAME FLAGS: the allocator once, then each test against it.
build() {
    name=$1
    flags=$2
    shift 2
    mkdir "$work/$name"
    for source in $sources; do # files of different folders share names
        object=$(echo "$source" | tr / _)
        # shellcheck disable=SC2086
        cc $common $flags -c "$source" -o "$work/$name/${object%.c}.o"
    done
    ar rc "$work/$name/all.a" "$work/$name"/*.o
    for t in "$@"; do
        model=
        [ "$t" = malloc_model ] && model=$root/tests/ptmalloc/model.c
        # shellcheck disable=SC2086
        cc $common $flags "$root/tests/kernel/${t}_test.c" $model "$work/$name/all.a" \
            -o "$work/$name-$t" -lcmocka -pthread
    done
}

build asan "-fsanitize=address,undefined -fno-sanitize-recover=all" \
    slub_model kmalloc malloc_api malloc_model percpu_storm
build tsan "-fsanitize=thread" percpu_storm
for knobs in "percpu=auto" "percpu=thread" "sheaves=0"; do
    export HEAPMARK_SLUB="$knobs"
    for t in slub_model kmalloc malloc_api malloc_model percpu_storm; do
        echo "asan $t '$knobs'"
        "$work/asan-$t"
    done
done
# TSan needs the address layout of older kernels, which an unrandomised one resembles.
for knobs in "percpu=thread" "percpu=thread:sheaves=0"; do
    echo "tsan percpu_storm '$knobs'"
    HEAPMARK_SLUB="$knobs" TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" setarch -R "$work/tsan-percpu_storm"
done
