# The trace tools: a trace out of text, what info and CSV show of it, cuts of it, and wrong words.
try() { echo "\$ heapmark trace $*"; heapmark trace "$@"; echo "exit $?"; }
cat >by_hand.txt <<'END'
heapmark trace text 1
command ./server --name %20x it's two%0alines%1b
fact ticks_hz 1000000
# two threads: one makes, the other one ends
0 0 malloc 1 64
+10 0 spawn 1
+0 0 calloc 2 4096
100 1 free 1
= 1 aligned 3 300 64
150 1 realloc 3 4 600 moved
2000 0 join 1
2500 0 malloc 5 24
end 8
END
try import -o t.hmt by_hand.txt
try info t.hmt | grep -v '^file '
try info --format=csv --table=ops t.hmt | tr -d '\r'
try info --csv t.hmt | tr -d '\r'
try info --format=csv --table=threads t.hmt | tr -d '\r'
try export t.hmt
try export --format=csv t.hmt | tr -d '\r'
try verify t.hmt
try cut --from=0.12ms --to=1s -o cut.hmt t.hmt
try export cut.hmt
try cut --thread=1 -o one.hmt t.hmt
try export one.hmt
try cut --steady -o steady.hmt t.hmt
try cut --thread=7 -o seven.hmt t.hmt
sed 's/free 1/free 9/' by_hand.txt >wrong.txt
try import -o x.hmt wrong.txt
printf 'hello\n' >hello.txt
try import -o x.hmt hello.txt
try
try vefify
try --help
try info --table=ops t.hmt
try info --format=csv --table=life t.hmt
try info --format=xml t.hmt
try export --format=json t.hmt
try import --format=foo -o x.hmt by_hand.txt
try import -o x.hmt nowhere.txt
try recover nowhere.raw
try verify by_hand.txt
try info nowhere
try info --fromat=csv t.hmt
tr ' ' '\t' <by_hand.txt | sed '1s/\t/ /g' >tabs.txt
try import -o tabs.hmt tabs.txt
heapmark trace export t.hmt >blanks && heapmark trace export tabs.hmt | cmp - blanks && echo "the same with tabs"
# What is read is not written over, by whatever name.
ln -s t.hmt link.hmt
ln t.hmt hard.hmt
try cut --from=0s -o link.hmt t.hmt
try export -o t.hmt hard.hmt
try import -o by_hand.txt by_hand.txt
try import -o by_hand.txt - <by_hand.txt
rm link.hmt hard.hmt
# A directory with the name of a shipped trace does not stand before it; a regular file does.
mkdir git
heapmark trace info git | head -1
heapmark run git --allocators=system --reps=1 --dry-run | grep -c 'trace=git '
rmdir git
cp t.hmt git
try verify git
try info .
ls
