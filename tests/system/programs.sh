#!/bin/sh
# programs.sh LIBRARY ROOT [VARIABLE=VALUE...]: real programs under preload; what they print and make
# must be what they print and make without; of redis-server, its digest of what it holds. Python's own test suite
# and stress-ng judge themselves, by their exit status. A program that is not installed is named and passed over.
# Each variable makes a variant of the allocator: it is set for another run of the preloaded program.
set -u
library=$1
root=$2
shift 2
[ $# -gt 0 ] || set -- HEAPMARK_VARIANT=default
variants=$* # none holds a space
work=$(mktemp -d)
failed=0
trap 'rm -rf "$work"' EXIT

# loaded VARIANT COMMAND...
loaded() {
    env LD_PRELOAD="$library" "$@"
}

have() {
    command -v "$1" >/dev/null && return 0
    echo "skip: $1 is not installed"
    return 1
}

# same NAME COMMAND...: runs the command in directories a (plain) and b (preloaded, with each variant);
# all must succeed, print the same and leave the same files.
same() {
    name=$1
    shift
    rm -rf "$work/a"
    mkdir "$work/a"
    (cd "$work/a" && "$@" >out 2>&1) || {
        echo "FAIL: $name: fails without preload, too: $(tail -n 1 "$work/a/out")"
        failed=1
        return
    }
    for variant in $variants; do
        rm -rf "$work/b"
        mkdir "$work/b"
        (cd "$work/b" && export LD_PRELOAD="$library" "$variant" && "$@" >out 2>&1)
        code=$?
        if [ $code -eq 0 ] && diff -r "$work/a" "$work/b" >"$work/difference" 2>&1; then
            echo "ok: $name ($variant)"
        else
            echo "FAIL: $name ($variant): exit status $code; $(tail -n 1 "$work/b/out");" \
                "$(head -n 3 "$work/difference")"
            failed=1
        fi
    done
}

# passes NAME COMMAND...: the same for a command that judges itself, which needs no plain run beside it.
passes() {
    name=$1
    shift
    for variant in $variants; do
        rm -rf "$work/b"
        mkdir "$work/b"
        if (cd "$work/b" && export LD_PRELOAD="$library" "$variant" && "$@" >out 2>&1); then
            echo "ok: $name ($variant)"
        else
            echo "FAIL: $name ($variant): $(tail -n 1 "$work/b/out")"
            (cd "$work/b" && "$@" >out 2>&1) || echo "$name fails without preload, too"
            failed=1
        fi
    done
}

compile_project() {
    for f in "$root"/allocators/ptmalloc/*.c "$root"/tests/ptmalloc/*.c; do
        gcc -std=gnu17 -O2 -D_GNU_SOURCE -I"$root/allocators/ptmalloc" -I"$root/allocators/common" -I"$root/harness" -c "$f" \
            -o "$(basename "$f" .c).o" || return 1
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
    git clone -q --no-local "$work/origin" copy && cd copy || return 1
    git gc -q --aggressive && git fsck --strict && git log --stat --format=%H && git rev-parse HEAD
    status=$?
    cd .. && rm -rf copy
    return $status
}

# A history to clone: one file for each commit, and one that all of them change.
make_origin() {
    mkdir "$work/origin" && cd "$work/origin" || return 1
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
    rm -f packed
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

test_python_suite() {
    PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m test -q test_dict test_list \
        test_set test_json test_re test_bytes test_zlib test_gc test_array test_struct test_deque \
        >suite.log 2>&1
    status=$?
    [ $status -eq 0 ] || cat suite.log
    rm -f suite.log
    return $status
}

# Reached by a socket of its own: tests of several libraries may run at once.
test_redis() {
    socket=$work/redis.socket
    "$@" redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no --enable-debug-command yes \
        >"$work/redis.log" 2>&1 &
    server=$!
    trap 'kill "$server" 2>/dev/null' EXIT # of the subshell that runs this
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        redis-cli -s "$socket" ping >/dev/null 2>&1 && break
        sleep 0.3
    done
    "$@" redis-benchmark -s "$socket" -n 20000 -c 20 -d 200 -r 5000 -q -t set,get,lpush,lpop,sadd,hset,mset \
        >/dev/null || return 1
    redis-cli -s "$socket" flushall >/dev/null
    seq 1 20000 | awk '{ print "SET k" $1 " " $1 * $1; print "RPUSH l" $1 % 50 " " $1 }' |
        redis-cli -s "$socket" --pipe >/dev/null || return 1
    redis-cli -s "$socket" debug digest | grep -E '^[0-9a-f]{40}$' || return 1
    redis-cli -s "$socket" shutdown nosave
    wait "$server"
}

if have /usr/bin/python3; then
    same "python3: objects, threads, json" test_python
    if /usr/bin/python3 -c 'import test.test_dict' 2>/dev/null; then
        passes "python3: its own test suite" test_python_suite
    else
        echo "skip: python3's test suite is not installed"
    fi
fi
have gcc && same "gcc: compiles an allocator and its tests" compile_project
have sqlite3 && same "sqlite3" query_database
have perl && same "perl" run_perl
have lua5.4 && same "lua5.4" run_lua
if have git; then
    (make_origin) || exit 1
    same "git: clone, gc, fsck, log" use_git
fi
# Text that compresses somewhat, enough for several blocks.
seq 1 2500000 >"$work/data"
have xz && same "xz with two threads" press xz -1
have zstd && same "zstd with two threads" press zstd -6
if have redis-server; then
    plain=$(test_redis env) || failed=1
    for variant in $variants; do
        preloaded=$(test_redis loaded "$variant")
        code=$?
        if [ $code -eq 0 ] && [ "$plain" = "$preloaded" ] && [ -n "$plain" ]; then
            echo "ok: redis-server under redis-benchmark ($variant)"
        else
            echo "FAIL: redis-server ($variant): exit status $code, digests '$plain' and '$preloaded'"
            failed=1
        fi
    done
fi
if have stress-ng; then
    for variant in $variants; do
        if loaded "$variant" stress-ng --malloc 2 --malloc-ops 20000 --malloc-bytes 64m --malloc-thresh 1m \
            --malloc-pthreads 2 --verify --timeout 60s >"$work/out" 2>&1 &&
            loaded "$variant" stress-ng --malloc 2 --malloc-ops 2000 --malloc-bytes 64m --malloc-touch \
                --verify --timeout 60s >>"$work/out" 2>&1; then
            echo "ok: stress-ng malloc stressors ($variant)"
        else
            echo "FAIL: stress-ng ($variant): $(tail -n 2 "$work/out")"
            failed=1
        fi
    done
fi
exit $failed
