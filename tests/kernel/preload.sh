#!/bin/sh
# preload.sh LIBRARY PROGRAM HEADER: the shared object exports the standard names, those of the public header and
# no others, serves C and C++ from before main to after exit, answers a malformed knob string with one line
# and the defaults, and works without rseq.
set -eu
library=$1
program=$2
header=$3
variable=HEAPMARK_SLUB
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../system/preloaded.sh"

# Without comments, one declaration a line: the name stands before the first parenthesis.
kernel_names() {
    cc -fpreprocessed -E -P "$header" | tr '\n' ' ' | tr ';' '\n' | grep KMEM_API |
        grep -v '#define' | sed 's/^[^(]*[ *]\([a-z_]*\)(.*/\1/'
}

{
    malloc_names
    echo heapmark_allocator_flags
    kernel_names
} | exports_only
serves_programs
expect_line 'sheaf=1' "unknown knob 'sheaf=1'"
expect_line 'sheaves=1:frob=2' "unknown knob 'frob=2'"
expect_line 'sheaves=' "no number for knob 'sheaves='"
expect_line 'sheaves=2' "out of range for knob 'sheaves=2'"
expect_line 'percpu=maybe' "no such value for knob 'percpu=maybe'"
expect_line 'pool=12q' "no number for knob 'pool=12q'"
expect_line 'nodes=0' "out of range for knob 'nodes=0'"
for knobs in 'sheaves=0:cpu_partial=2:min_partial=3' 'percpu=thread:pool=64m' 'nodes=2:barn=0' 'stats=1' 'debug=1'; do
    expect_silence "$knobs"
done
# Valgrind has no rseq: the fallback must serve, unasked.
if command -v valgrind >/dev/null; then
    LD_PRELOAD=$library valgrind --tool=none -q --trace-children=no ls / >/dev/null 2>"$work/err" ||
        fail "under valgrind: $(cat "$work/err")"
fi
