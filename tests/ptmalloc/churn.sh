#!/bin/sh
# churn.sh LIBRARY PROGRAM: a few seconds of the long run, plain and preloaded: contents stay whole, and
# what is resident at the end stays within a generous bound of the C library's (the long run itself is
# held against 1.1; see the README of the allocator).
set -eu
library=$1
program=$2

# late_rss LIVES [NAME=VALUE]: mean resident bytes over the reports of the second half.
late_rss() {
    lives=$1
    shift
    env "$@" "$program" "$lives" 1 2 | awk '
        { split($3, rss, "="); bytes[NR] = rss[2] }
        $1 == "end" { for (i = int(NR / 2); i <= NR; i++) { sum += bytes[i]; n++ } }
        $1 == "freed" { whole = 1; print int(sum / n) }
        END { exit !whole }'
}

plain=$(late_rss 250 LD_PRELOAD=)
loaded=$(late_rss 250 LD_PRELOAD="$library")
echo "resident: $plain bytes plain, $loaded preloaded"
[ "$loaded" -le $((plain * 13 / 10)) ] || {
    echo "churn.sh: more than 1.3 times the C library's" >&2
    exit 1
}
# The knobs that change who merges what and when; contents only.
late_rss 120 LD_PRELOAD="$library" HEAPMARK_PTMALLOC=arenas=1:tcache=0 >/dev/null
