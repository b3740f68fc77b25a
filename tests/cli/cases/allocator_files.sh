# Files that cannot be preloaded are refused before anything runs.
try() { echo "\$ heapmark $*"; heapmark "$@"; echo "exit $?"; }
echo "not an object" >text.so
printf '\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\3\0\3\0\1\0\0\0\0\0\0\0\64\0\0\0\0\0\0\0\0\0\0\0\64\0\40\0\0\0\50\0\0\0\0\0' >i386.so
head -c 100 "$FAULTY/crash.so" >torn.so
cp "$FAULTY/crash.so" 'with space.so'
try run pair --allocators=./missing.so
try run pair --allocators=./text.so
try run pair --allocators=./i386.so
try run pair --allocators=./torn.so
try run pair --allocators="$FAULTY/nomalloc.so"
try run pair --allocators='./with space.so'
try run pair --allocators="$FAULTY/crash.so:knob=1"
ls
