#!/bin/sh
# programs.sh LIBRARY ROOT PLAIN [VARIABLE=VALUE...]: real programs under preload; what they print and make must be
# what they print and make without; of redis-server, its digest of what it holds; of Python's own test suite and
# stress-ng, their verdicts. A program that is not installed is named and passed over. Each variable makes a
# variant of the allocator: it is set for another run of the program.
# programs.sh plain ROOT PLAIN: runs the programs without preload. What they print and make goes into PLAIN.N (an
# absolute path), where N is the process that starts this script: tests that one ctest starts share it, and another
# ctest at work in the same tree has its own.
# programs.sh remove ROOT PLAIN: removes that directory.
set -u
library=$1
root=$2
plain=$3.$PPID
shift 3
[ $# -gt 0 ] || set -- HEAPMARK_VARIANT=default
variants=$* # none holds a space
work=$(mktemp -d)
failed=0
trap 'rm -rf "$work"' EXIT

have() {
    command -v "$1" >/dev/null && return 0
    echo "skip: $1 is not installed"
    return 1
}

# run_plain NAME DIRECTORY COMMAND...: leaves in the directory what the command prints and makes. A failure is
# left to run_loaded to judge: it must not keep the other programs from being compared.
run_plain() {
    name=$1
    directory=$2
    shift 2
    mkdir "$directory"
    (cd "$directory" && "$@" >out 2>&1) && return
    tail -n 1 "$directory/out" >"$directory.failed"
    rm -rf "$directory"
    echo "fails without preload: $name: $(cat "$directory.failed")"
}

# run_loaded NAME DIRECTORY COMMAND...: the same preloaded, with each variant, must leave the same.
run_loaded() {
    name=$1
    directory=$2
    shift 2
    if [ ! -d "$directory" ]; then
        echo "FAIL: $name: fails without preload, too: $(cat "$directory.failed")"
        failed=1
        return
    fi
    for variant in $variants; do
        rm -rf "$work/loaded"
        mkdir "$work/loaded"
        (cd "$work/loaded" && export LD_PRELOAD="$library" "$variant" && "$@" >out 2>&1)
        code=$?
        if [ $code -eq 0 ] && diff -r "$directory" "$work/loaded" >"$work/difference" 2>&1; then
            echo "ok: $name ($variant)"
        else
            echo "FAIL: $name ($variant): exit status $code; $(tail -n 1 "$work/loaded/out");" \
                "$(head -n 3 "$work/difference")"
            failed=1
        fi
    done
}

# same NAME COMMAND...
same() {
    name=$1
    directory=$plain/$(echo "$1" | tr -c 'a-z0-9\n' _)
    shift
    if [ "$library" = plain ]; then
        run_plain "$name" "$directory" "$@"
    else
        run_loaded "$name" "$directory" "$@"
    fi
}

# Sources that need nothing the build makes, as they were when the programs ran without preload.
compile_project() {
    source=$plain/source
    files=$(cd "$source" && find allocators/ptmalloc workloads -name '*.c' ! -path '*/trace/*')
    if [ -z "$files" ]; then
        echo "no sources in '$source'"
        return 1
    fi
    for f in $files; do
        gcc -std=gnu17 -O2 -D_GNU_SOURCE -I"$source" -I"$source/harness" -I"$source/allocators/ptmalloc" \
            -I"$source/allocators/common" -c "$source/$f" -o "$(echo "${f%.c}.o" | tr / _)" || return 1
    done
}

query_database() {
    sqlite3 :memory: <<'SQL'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into t select i, hex(zeroblob(i % 50)) || i, i * 0.5 from n;
create index t_b on t(b);
select count(*), sum(length(b)), total(c) from t where b > '3';
select b, count(*) from t group by length(b) order by 2 desc limit 5;
delete from t where a % 3 = 0;
vacuum;
select count(*), max(b), group_concat(a) from (select * from t limit 5000);
SQL
}

run_perl() {
    perl -e 'my %h; for my $i (1..120000) { $h{"key$i"} = [$i, "v" x ($i % 90)]; }
        delete $h{"key$_"} for grep { $_ % 7 == 0 } 1..120000;
        my $s = join ",", map { $_ . length $h{$_}[1] } sort keys %h;
        $s =~ s/key(\d+)/<$1>/g; print length $s, " ", unpack("%32C*", $s), "\n";'
}

run_lua() {
    lua5.4 -e 'local t = {} for i = 1, 200000 do t[i % 5000] = {i, tostring(i):rep(i % 9)} end
        local n = 0 for _, v in pairs(t) do n = n + v[1] + #v[2] end
        local s = {} for i = 1, 50000 do s[#s + 1] = ("%d;"):format(i * 7) end
        collectgarbage() print(n, #table.concat(s))'
}

use_git() {
    export GIT_CONFIG_NOSYSTEM=1 HOME="$work"
    git clone -q --no-local "$plain/origin" copy && cd copy || return 1
    git gc -q --aggressive && git fsck --strict && git log --stat --format=%H && git rev-parse HEAD
    status=$?
    cd .. && rm -rf copy
    return $status
}

# A history to clone: one file for each commit, and one that all of them change.
make_origin() {
    mkdir "$plain/origin" && cd "$plain/origin" || return 1
    export HOME="$work" GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z
    git init -q . && git config user.name t && git config user.email t@example.org
    i=0
    while [ $i -lt 60 ]; do
        seq $i $((i + 400)) >"file$i"
        seq 1 $((i * 50)) >changing
        git add . && git commit -q -m "change $i" || return 1
        i=$((i + 1))
    done
}

press() {
    "$1" -T2 "$2" -c "$work/data" >packed && "$1" -T2 -dc packed >unpacked && cksum <unpacked
    status=$?
    rm -f packed unpacked
    return $status
}

test_python() {
    PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 /usr/bin/python3 -c '
import json, re, random, threading, zlib
random.seed(1)
def work(out, n):
    d = {str(i): [random.random()] * (i % 40) for i in range(n)}
    out.append(sum(map(len, d.values())))
outs = []
threads = [threading.Thread(target=work, args=(outs, 20000)) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
text = json.dumps({str(i): "x" * (i % 300) for i in range(20000)})
print(sorted(outs), len(text), zlib.crc32(text.encode()), len(re.findall("x{17,}", text)))'
}

# The verdict on every test, without the times (a module that takes 30 s has its own) and the name of a directory.
test_python_suite() {
    PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m test -v test_dict test_list test_gc \
        test_re test_bytes test_zlib test_array test_struct test_deque >"$work/suite.log" 2>&1
    status=$?
    sed -E 's/^[0-9:]+ load avg: [0-9.]+//; s/test_python_[0-9]+//; s/in [0-9.]+s$//; s/^Total duration: .*//
        s/ -- test_[a-z_]+ passed in .*//; /^test_[a-z_]+ passed in /d' "$work/suite.log"
    return $status
}

# The same of stress-ng; the second time, what is allocated is written to.
stress() {
    stress-ng --malloc 2 --malloc-ops 100000 --malloc-bytes 64m --malloc-thresh 1m --malloc-pthreads 2 \
        --verify --timeout 60s >"$work/stress.log" 2>&1 &&
        stress-ng --malloc 2 --malloc-ops 4000 --malloc-bytes 4m --malloc-max 200 --malloc-touch \
            --verify --timeout 60s >>"$work/stress.log" 2>&1
    status=$?
    sed -E 's/ \[[0-9]+\]//; s/ in [0-9].*//' "$work/stress.log"
    return $status
}

# Reached by a socket of its own: tests of several libraries may run at once.
test_redis() {
    socket=$work/redis.socket
    redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no --enable-debug-command yes \
        >"$work/redis.log" 2>&1 &
    server=$!
    trap 'kill "$server" 2>/dev/null' EXIT # of the subshell that runs this
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        redis-cli -s "$socket" ping >/dev/null 2>&1 && break
        sleep 0.3
    done
    redis-benchmark -s "$socket" -n 20000 -c 20 -d 200 -r 5000 -q -t set,get,lpush,lpop,sadd,hset,mset \
        >/dev/null || return 1
    redis-cli -s "$socket" flushall >/dev/null
    seq 1 20000 | awk '{ print "SET k" $1 " " $1 * $1; print "RPUSH l" $1 % 50 " " $1 }' |
        redis-cli -s "$socket" --pipe >/dev/null || return 1
    redis-cli -s "$socket" debug digest | grep -E '^[0-9a-f]{40}$' || return 1
    redis-cli -s "$socket" shutdown nosave
    wait "$server"
}

if [ "$library" = remove ]; then
    rm -rf "$plain"
    exit
elif [ "$library" = plain ]; then
    rm -rf "$plain"
    mkdir "$plain" "$plain/source" || exit 1
    cp -r "$root/allocators" "$root/harness" "$root/workloads" "$plain/source" || exit 1
    if have git; then
        (make_origin) || rm -rf "$plain/origin" # so that there is nothing to clone
    fi
elif [ ! -d "$plain" ]; then
    echo "programs.sh: cannot open '$plain': no such directory; 'programs.sh plain $root ${plain%.*}'," \
        "started by the same process, makes it" >&2
    exit 2
fi
# Text that compresses somewhat, enough for several blocks.
seq 1 2500000 >"$work/data" || exit 1
if have /usr/bin/python3; then
    same "python3: objects, threads, json" test_python
    if /usr/bin/python3 -c 'import test.test_dict' 2>/dev/null; then
        same "python3: its own test suite" test_python_suite
    else
        echo "skip: python3's test suite is not installed"
    fi
fi
have gcc && same "gcc: compiles an allocator and workloads" compile_project
have sqlite3 && same "sqlite3" query_database
have perl && same "perl" run_perl
have lua5.4 && same "lua5.4" run_lua
have git && same "git: clone, gc, fsck, log" use_git
have xz && same "xz with two threads" press xz -1
have zstd && same "zstd with two threads" press zstd -6
have redis-server && same "redis-server under redis-benchmark" test_redis
have stress-ng && same "stress-ng malloc stressors" stress
exit $failed
