#!/bin/sh
# Makes the traces of workloads/traces again: record_corpus.sh [DIRECTORY]
#
# Needs sqlite3, lua5.4, redis, gcc, xz and git, and heapmark itself: the one in $HEAPMARK, in
# build/, or in PATH. The traces are ordered ones, which are smaller and load faster.
# The programs' versions and the order of threads differ from machine to machine, so the files will
# not be the same byte for byte.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "${1:-$here/workloads/traces}" && cd "${1:-$here/workloads/traces}" && pwd)
heapmark=${HEAPMARK:-$here/build/heapmark}
[ -x "$heapmark" ] || heapmark=$(command -v heapmark) || {
    echo "heapmark is not built: run scripts/bench.sh, or set HEAPMARK" >&2
    exit 2
}
for program in sqlite3 lua5.4 redis-server redis-cli redis-benchmark gcc xz git; do
    command -v "$program" >/dev/null || {
        echo "$program is missing: apt-get install sqlite3 lua5.4 redis-server redis-tools gcc" \
             "xz-utils git" >&2
        exit 2
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# ---- sqlite3: a session that loads, indexes, joins, groups, updates and deletes ------------------
cat >session.sql <<'SQL'
pragma cache_size = 200;
create table customer(id integer primary key, name text, city text);
create table orders(id integer primary key, customer int, amount real, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)
  insert into customer select i, 'customer ' || i, 'city ' || (i * 7919 % 97) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 25000)
  insert into orders select i, i * 31 % 4000 + 1, i * 17 % 1000 / 10.0, 'order number ' || i from n;
create index by_customer on orders(customer);
create index by_city on customer(city);
select city, count(*), sum(amount), max(note) from customer c join orders o on o.customer = c.id
  group by city order by 3 desc limit 5;
update orders set note = upper(note) || ' sent' where amount > 90;
delete from orders where id % 5 = 0;
select group_concat(name, ', ') from customer where city = 'city 3';
select count(distinct note), total(length(note)) from orders;
vacuum;
SQL
"$heapmark" record --ordered --only-first -o "$out/sqlite3.hmt" -- sqlite3 session.db '.read session.sql' >/dev/null

# ---- lua: strings, tables, closures, a parser and a sieve ----------------------------------------
cat >script.lua <<'LUA'
math.randomseed(42)
local words, counts = {}, {}
for i = 1, 15000 do
  words[i] = string.format("w%d", math.random(3000))
end
for _, word in ipairs(words) do counts[word] = (counts[word] or 0) + 1 end
local keys = {}
for key in pairs(counts) do keys[#keys + 1] = key end
table.sort(keys, function(a, b) return counts[a] > counts[b] end)

local text = table.concat(words, " ")
local parsed = {}
for number in text:gmatch("%d+") do parsed[#parsed + 1] = {value = tonumber(number)} end

local function counter(start)
  return function() start = start + 1; return start end
end
local sum = 0
for i = 1, 20000 do sum = sum + counter(i)() end

local function tree(depth)
  if depth == 0 then return {} end
  return {left = tree(depth - 1), right = tree(depth - 1)}
end
for depth = 8, 13 do tree(depth) end

local lines = {}
for i = 1, 8000 do lines[#lines + 1] = ("line %05d: %s"):format(i, ("x"):rep(i % 60)) end
local reversed = {}
for i = #lines, 1, -1 do reversed[#reversed + 1] = lines[i]:reverse() end
print(#keys, #parsed, sum, #reversed)
LUA
"$heapmark" record --ordered --only-first -o "$out/lua.hmt" -- lua5.4 script.lua >/dev/null

# ---- redis: a server that parses requests in a second thread and executes them in the first -------
"$heapmark" record --ordered --only-first -o "$out/redis.hmt" -- redis-server --port 0 --unixsocket "$work/socket" --save '' \
    --io-threads 2 --io-threads-do-reads yes --daemonize no >/dev/null &
server=$!
tries=0
until redis-cli -s "$work/socket" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "redis-server does not answer" >&2; exit 1; }
    sleep 0.1
done
for commands in set,get,lpush,lpop,sadd,hset,zadd lrange_100; do
    redis-benchmark -s "$work/socket" -n 6000 -c 20 -P 4 -d 40 -r 1000 -t "$commands" -q >/dev/null
done
redis-cli -s "$work/socket" shutdown nosave >/dev/null 2>&1 || true
wait "$server"

# ---- cc1: the compiler proper, on a generated program of eighty functions ---------------
awk 'BEGIN {
  print "struct node { struct node *next; int key; double weight; };"
  for (i = 0; i < 80; i++) {
    printf "static int f%d(struct node *n, int x)\n{\n  int s = %d;\n", i, i
    printf "  for (; n; n = n->next)\n    if (n->key > x * %d) s += n->key %% %d; else s ^= (int)n->weight;\n", i + 3, i + 7
    printf "  switch (s & 7) { case 1: return s + %d; case 3: return s * x; case 5: return -s; default: return s; }\n}\n", i
  }
  print "int all(struct node *n, int x)\n{\n  int s = 0;"
  for (i = 0; i < 80; i++) printf "  s += f%d(n, x + s);\n", i
  print "  return s;\n}"
}' >program.c
"$heapmark" record --ordered --only-first -o "$out/cc1.hmt" -- \
    "$(gcc -print-prog-name=cc1)" -quiet -O2 program.c -o program.s >/dev/null

# ---- xz: two threads unpack small blocks, which the main thread allocates and they free -----------
awk 'BEGIN { srand(7); for (i = 0; i < 500000; i++) printf "%d %s %d\n", i, substr("the quick brown fox jumps over the lazy dog", 1 + int(rand() * 30), 9), rand() * 1000000 }' >text
xz --threads=2 --block-size=4096 -0 --force text
"$heapmark" record --ordered --only-first -o "$out/xz.hmt" -- \
    xz --decompress --threads=2 --keep --force text.xz >/dev/null

# ---- git: a commit of a few hundred files, then the log with its differences -----------------------
mkdir repository
(
    cd repository
    git init --quiet .
    git config user.name corpus
    git config user.email corpus@example.org
    for round in 1 2 3 4; do
        for file in $(seq 1 150); do
            seq "$round" "$((file + round * 3))" >"file$file"
        done
        git add .
        git commit --quiet --message "round $round"
    done
)
"$heapmark" record --ordered --only-first -o "$out/git.hmt" -- \
    git -C repository --no-pager log --patch --stat >/dev/null

for trace in sqlite3 lua redis cc1 xz git; do
    "$heapmark" trace verify "$out/$trace.hmt"
    [ "$(stat -c %s "$out/$trace.hmt")" -le 1048576 ] || {
        echo "$out/$trace.hmt is larger than 1 MiB" >&2
        exit 1
    }
done
