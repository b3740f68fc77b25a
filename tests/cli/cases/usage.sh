# Wrong words on the command line: each named, with the nearest known one, exit 2.
try() { echo "\$ heapmark $*"; heapmark "$@"; echo "exit $?"; }
try
try lst
try qwerty
try list
try list alocators
try list workloads jobs
try run
try run --thread-count=3 pair
try run pair --thraeds=2
try run pare
try run pair --threads=none
try run pair --placement=compcat
try run pair --placement=0,77
try run pair --mempolicy=bindd:0
try run pair --mempolicy=bind:63
try run pair --allocators=jemaloc
try run pair --allocators=system:arena_mx=1
try run pair --allocators=null:populate
try run pair --allocators=slub:nodes=65
try run pair --allocators=slub:percpu=maybe
try run pair --allocators=slub:pool=1k
try run pair --allocators=ptmalloc:arenas=foo
try run pair --allocators=null:ring=foo
try run pair --allocators=system:arena_max=0
try run pair --baseline=slub:sheaves=2
try run pair --set sise=3
try run pair --set size
try run pair --set size=0
try run batch --set order=up
try run larson --set size_min=2k
try run xz --set speed=50 --dry-run
try run pair --reps=0
try run pair --until=0
try run pair --until=abc
try run pair --turns=100 --work=50
try run pair --trial-time=1s --timeout=1s --dry-run
try run pair --turns=many
try run pair --resume=x
try run --resume=nowhere --seed=3
try run --resume=nowhere
try run nowhere.ini
try run nowhere.hmt
touch unnamed a,b.hmt
try run ./unnamed
try run a,b.hmt
try run xz --set trace=lua --dry-run
try run pair pair --dry-run
try run pair --threads=1,2,1 --dry-run
try run xz xz --dry-run
try topo --placement=scater
try topo --threads=0
try doctor x
try topo x
