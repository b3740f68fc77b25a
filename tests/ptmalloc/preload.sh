#!/bin/sh
# preload.sh LIBRARY PROGRAM: the shared object exports the standard names and no others, serves C and
# C++ from before main to after exit, and answers a malformed knob string with one line and the defaults.
set -eu
library=$1
program=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "preload.sh: $1" >&2
    exit 1
}

nm -D --defined-only "$library" | awk '{ print $3 }' | sort >"$work/names"
sort >"$work/expected" <<'NAMES'
aligned_alloc
calloc
free
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
diff "$work/expected" "$work/names" || fail "other names are exported than the standard ones"

LD_PRELOAD=$library "$program" "$(basename "$library")" >"$work/out" 2>"$work/err" || {
    cat "$work/err" >&2
    fail "'$program' failed"
}
grep -q '^<malloc version="1">$' "$work/out" || fail "malloc_info wrote no XML"
grep -q '^Total (incl. mmap):$' "$work/err" || fail "malloc_stats wrote no totals"

if command -v c++ >/dev/null; then
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
fi

# expect_line KNOBS WORDS: one line on standard error that names the knob, and the program runs.
expect_line() {
    HEAPMARK_PTMALLOC=$1 LD_PRELOAD=$library ls / >/dev/null 2>"$work/err" || fail "'$1' stopped the program"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "'$1' is answered with other than one line"
    grep -q "$2" "$work/err" || fail "'$1' is answered with: $(cat "$work/err")"
}
expect_line 'arena=1' "unknown knob 'arena=1'"
expect_line 'arenas=1:frob=2' "unknown knob 'frob=2'"
expect_line 'arenas=' "no number for knob 'arenas='"
expect_line 'arenas=0' "out of range for knob 'arenas=0'"
expect_line 'mmap_threshold=12q' "no number for knob 'mmap_threshold=12q'"
expect_line 'trim_threshold=99999999999999999999' "no number for knob"
expect_line 'trim_threshold=999999999999g' "no number for knob"
expect_line 'tcache=1:' "unknown knob ''"
expect_line ':' "unknown knob ''"
HEAPMARK_PTMALLOC='arenas=2:tcache=0:mmap_threshold=1m:trim_threshold=4K:fastbin_max=64' \
    LD_PRELOAD=$library ls / >/dev/null 2>"$work/err"
[ -s "$work/err" ] && fail "a good knob string is answered with: $(cat "$work/err")"
exit 0
