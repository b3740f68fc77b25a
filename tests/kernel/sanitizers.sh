#!/bin/sh
# sanitizers.sh ROOT: the tests once more under ASan and UBSan, and the threaded ones under TSan, where each
# thread has a slot of its own.
set -eu
root=$1
tests=$root/tests/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$(find "$root/allocators/kernel" "$root/allocators/common" -name '*.c' ! -name preload.c ! -name 'descriptor*')
include="-I$root/allocators/kernel -I$root/allocators/common -I$tests/as_ptmalloc -I$root/tests/ptmalloc"
beside() {
    echo "$tests/support.c"
    case $1 in
    malloc_model | inject) echo "$root/tests/ptmalloc/model.c" ;;
    malloc_api) echo "$root/tests/ptmalloc/api_shared.c" ;;
    reclaim | hooks) echo "$tests/reclaim_support.c" ;;
    page_* | vmalloc*) echo "$tests/page_support.c" ;;
    esac
}
. "$root/tests/system/sanitized.sh"

slub="slub_model slub_shapes slub_lists slub_counts kmalloc malloc_api"
barn="slub_barn"
once="malloc_model inject slub_grow slub_slabs slub_sheaf slub_check percpu_storm"
pages="page_buddy page_gfp page_misuse page_nodes page_refusal page_threads page_watermark vmalloc vmalloc_random"
# shellcheck disable=SC2086
build asan "-fsanitize=address,undefined -fno-sanitize-recover=all" $slub $once $barn $pages
build tsan "-fsanitize=thread -Wno-tsan" percpu_storm page_threads reclaim hooks
# shellcheck disable=SC2086
under_asan $pages
under_tsan page_threads
for knobs in "percpu=auto" "percpu=thread" "sheaves=0"; do
    echo "HEAPMARK_SLUB='$knobs'"
    export HEAPMARK_SLUB="$knobs"
    # shellcheck disable=SC2086
    under_asan $slub
done
# What these add to the others does not depend on the knobs, or (storm) is what TSan sees better.
export HEAPMARK_SLUB=pool=256m
# shellcheck disable=SC2086
under_asan $once
# Flushes beside threads that fill and free.
echo "HEAPMARK_SLUB='percpu=thread:pool=64m'"
HEAPMARK_SLUB=percpu=thread:pool=64m under_tsan reclaim hooks
# On two pretended CPUs, with a barn or a node each.
for knobs in "percpu=thread" "percpu=thread:nodes=2:pool=256m"; do
    echo "HEAPMARK_SLUB='$knobs'"
    export HEAPMARK_SLUB="$knobs"
    under_asan "$barn"
done
for knobs in "percpu=thread" "percpu=thread:sheaves=0"; do
    echo "HEAPMARK_SLUB='$knobs'"
    export HEAPMARK_SLUB="$knobs"
    under_tsan percpu_storm
done
