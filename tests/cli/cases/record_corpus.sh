# The script that makes the shipped traces, as far as it goes without making them (some minutes).
script=$SOURCE/scripts/record_corpus.sh
sh -n "$script" && echo "its syntax is right"
for trace in "$SOURCE"/workloads/traces/*.hmt; do
    name=$(basename "$trace")
    # floor is made by hand, to measure the replay itself.
    [ "$name" = floor.hmt ] || grep -q "/$name\"" "$script" || echo "nothing records $name"
done
mkdir tools
for tool in sh dirname mkdir; do ln -s "$(command -v $tool)" "tools/$tool"; done
HEAPMARK=$(command -v heapmark) PATH=$PWD/tools sh "$script" out
echo "exit $?"
