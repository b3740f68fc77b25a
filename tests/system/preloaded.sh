# shellcheck shell=sh disable=SC2154
# Sourced by the preload.sh of each allocator of our own, with $library, $program (names_test), $variable (the
# environment variable of its knobs) and $work (a directory to use).

fail() {
    echo "preload.sh: $1" >&2
    exit 1
}

malloc_names() {
    cat <<'NAMES'
aligned_alloc
calloc
free
free_aligned_sized
free_sized
heapmark_handle_forks
mallinfo
mallinfo2
malloc
malloc_info
malloc_stats
malloc_trim
malloc_usable_size
mallopt
memalign
posix_memalign
pvalloc
realloc
reallocarray
valloc
NAMES
}

# exports_only: the names on standard input, and no others.
exports_only() {
    sort >"$work/expected"
    nm -D --defined-only "$library" | awk '{ print $3 }' | sort >"$work/names"
    diff "$work/expected" "$work/names" || fail "other names are exported than those that are documented"
}

# C and C++ from before main to after exit.
serves_programs() {
    LD_PRELOAD=$library "$program" "$(basename "$library")" >"$work/out" 2>"$work/err" || {
        cat "$work/err" >&2
        fail "'$program' failed"
    }
    grep -q '^<malloc version="1">$' "$work/out" || fail "malloc_info wrote no XML"
    grep -q '^Total (incl. mmap):$' "$work/err" || fail "malloc_stats wrote no totals"
    command -v c++ >/dev/null || return 0
    cat >"$work/t.cpp" <<'CPP'
#include <map>
#include <memory>
#include <string>
#include <thread>
struct alignas(256) wide { char c[300]; };
int main()
{
    std::map<int, std::string> m;
    for (int i = 0; i < 1000; i++)
        m[i] = std::string(i, 'x');
    std::thread([&] { m.clear(); }).join();
    auto w = std::make_unique<wide>();
    return (unsigned long)w.get() % 256 != 0;
}
CPP
    c++ -std=c++17 -o "$work/t" "$work/t.cpp" -pthread
    LD_PRELOAD=$library "$work/t" || fail "the C++ program failed"
}

# with_knobs KNOBS: runs a program; what the allocator says is in $work/err.
with_knobs() {
    env "$variable=$1" LD_PRELOAD="$library" ls / >/dev/null 2>"$work/err" || fail "'$1' stopped the program"
}

# expect_line KNOBS WORDS: one line on standard error that names the knob, and the program runs.
expect_line() {
    with_knobs "$1"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "'$1' is answered with other than one line"
    grep -q "$2" "$work/err" || fail "'$1' is answered with: $(cat "$work/err")"
}

# expect_silence KNOBS
expect_silence() {
    with_knobs "$1"
    [ ! -s "$work/err" ] || fail "'$1' is answered with: $(cat "$work/err")"
}
