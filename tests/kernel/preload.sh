#!/bin/sh
# preload.sh LIBRARY PROGRAM HEADER: the shared object exports the standard names and no others, serves C and
# C++ from before main to after exit, and answers a malformed knob string with one line and the defaults.
set -eu
library=$1
program=$2
header=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "preload.sh: $1" >&2
    exit 1
}

# The kernel's names are those of the public header.
nm -D --defined-only "$library" | awk '{ print $3 }' | sort >"$work/names"
{
    cat <<'NAMES'
aligned_alloc
calloc
free
heapmark_allocator_flags
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
    # Without comments, one declaration a line: the name stands before the first parenthesis.
    cc -fpreprocessed -E -P "$header" | tr '\n' ' ' | tr ';' '\n' | grep KMEM_API |
        grep -v '#define' | sed 's/^[^(]*[ *]\([a-z_]*\)(.*/\1/'
} | sort >"$work/expected"
diff "$work/expected" "$work/names" || fail "other names are exported than those of malloc.h and kmem.h"

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
    HEAPMARK_SLUB=$1 LD_PRELOAD=$library ls / >/dev/null 2>"$work/err" || fail "'$1' stopped the program"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "'$1' is answered with other than one line"
    grep -q "$2" "$work/err" || fail "'$1' is answered with: $(cat "$work/err")"
}
expect_line 'sheaf=1' "unknown knob 'sheaf=1'"
expect_line 'sheaves=1:frob=2' "unknown knob 'frob=2'"
expect_line 'sheaves=' "no number for knob 'sheaves='"
expect_line 'sheaves=2' "out of range for knob 'sheaves=2'"
expect_line 'percpu=maybe' "no such value for knob 'percpu=maybe'"
expect_line 'pool=12q' "no number for knob 'pool=12q'"
expect_line 'nodes=0' "out of range for knob 'nodes=0'"
for knobs in 'sheaves=0:cpu_partial=2:min_partial=3' 'percpu=thread:pool=64m' 'nodes=2:barn=0' 'stats=1'; do
    HEAPMARK_SLUB=$knobs LD_PRELOAD=$library ls / >/dev/null 2>"$work/err" || fail "'$knobs' stopped the program"
    [ -s "$work/err" ] && fail "'$knobs' is answered with: $(cat "$work/err")"
done
# Valgrind has no rseq: the fallback must serve, unasked.
if command -v valgrind >/dev/null; then
    LD_PRELOAD=$library valgrind --tool=none -q --trace-children=no ls / >/dev/null 2>"$work/err" ||
        fail "under valgrind: $(cat "$work/err")"
fi
exit 0
