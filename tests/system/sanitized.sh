# shellcheck shell=sh disable=SC2154
# Sourced by the sanitizers.sh of each allocator of our own, with $root, $work (a directory to build in),
# $sources (of the allocator), $tests (where its tests lie) and $include (-I options).

# build NAME FLAGS TEST...: the allocator once, then $work/NAME-TEST for each TEST_test.c. Beside a test
# stand the files of its own that `beside TEST` prints.
build() {
    name=$1
    flags="-std=gnu17 -g -O1 -D_GNU_SOURCE -fno-strict-aliasing $include $2"
    shift 2
    mkdir "$work/$name"
    for source in $sources; do # files of different folders share names
        object=$(echo "${source#"$root"/}" | tr / _)
        # shellcheck disable=SC2086
        cc $flags -c "$source" -o "$work/$name/${object%.c}.o"
    done
    ar rc "$work/$name/all.a" "$work/$name"/*.o
    for t in "$@"; do
        # shellcheck disable=SC2046,SC2086
        cc $flags "$tests/${t}_test.c" $(beside "$t") "$work/$name/all.a" -o "$work/$name-$t" -lcmocka -pthread
    done
}

# under_asan TEST..., under_tsan TEST...: run what was built.
under_asan() {
    for t in "$@"; do
        echo "asan $t"
        "$work/asan-$t"
    done
}

# TSan needs the address layout of older kernels, which an unrandomised one resembles.
under_tsan() {
    for t in "$@"; do
        echo "tsan $t"
        TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" setarch -R "$work/tsan-$t"
    done
}
