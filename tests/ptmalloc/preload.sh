#!/bin/sh
# preload.sh LIBRARY PROGRAM ANSWERS: the shared object exports the standard names and no others, serves C
# and C++ from before main to after exit, gives the C library's answers at the edges of what is documented,
# answers a malformed knob string with one line and the defaults, and stays loaded once it is.
set -eu
library=$1
program=$2
answers=$3
variable=HEAPMARK_PTMALLOC
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../system/preloaded.sh"

malloc_names | exports_only
serves_programs
# Threads end, and their keys' destructors run, after a dlclose, too.
"$(dirname "$0")/../system/fork_handlers.sh" "$library" || fail "a fork with a handler that allocates does not end well"
"$(dirname "$0")/../system/fork_in_handler.sh" "$library" || fail "a fork in a signal's handler does not end well"
"$(dirname "$0")/../system/fork_in_flush.sh" "$library" || fail "a fork beside fflush(NULL) does not end well"
"$(dirname "$0")/../system/cancelled.sh" "$library" || fail "a cancelled thread does not end well"
"$(dirname "$0")/../system/first_in_resolver.sh" "$library" || fail "a first call during relocation does not end well"
"$(dirname "$0")/../system/two_copies.sh" "$library" || fail "two copies in a process do not go together"
readelf -d "$library" | grep -q 'Flags:.* NODELETE' || fail "a dlclose would unload the library: no -z nodelete"
"$answers" >"$work/plain"
LD_PRELOAD=$library "$answers" >"$work/loaded"
diff "$work/plain" "$work/loaded" >&2 || fail "answers differ from the C library's (left)"
expect_line 'arena=1' "unknown knob 'arena=1'"
expect_line 'arenas=1:frob=2' "unknown knob 'frob=2'"
expect_line 'arenas=' "no number for knob 'arenas='"
expect_line 'arenas=0' "out of range for knob 'arenas=0'"
expect_line 'mmap_threshold=12q' "no number for knob 'mmap_threshold=12q'"
expect_line 'trim_threshold=99999999999999999999' "no number for knob"
expect_line 'trim_threshold=999999999999g' "no number for knob"
expect_line 'tcache=1:' "unknown knob ''"
expect_line ':' "unknown knob ''"
expect_silence 'arenas=2:tcache=0:mmap_threshold=1m:trim_threshold=4K:fastbin_max=64'
