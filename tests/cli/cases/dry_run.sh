# The plan is in order of the seed and sweeps every list; nothing is written.
heapmark run pair batch --set size=16,64 --threads=1,2 --allocators=system,null --reps=2 --aa --seed=5 --dry-run
heapmark run pair --allocators=system,null --seed=7 --dry-run >a
heapmark run pair --allocators=system,null --seed=7 --dry-run >b
heapmark run pair --allocators=system,null --seed=8 --dry-run >c
cmp a b && echo "same seed, same plan"
cmp -s a c || echo "other seed, other plan"
ls
# What a long name leaves of the columns; one of each; threads that nobody uses.
heapmark run xz pair --threads=2 --allocators=system --reps=1 --dry-run
heapmark run xz --threads=2 --allocators=system --reps=1 --dry-run 2>&1 >one
sed -n '$s/ if.*//p' one | sed 's/, .*//'
# The same workload for other allocators, as the floor of this job is, is no repetition.
heapmark run quick --allocators=system --reps=1 --dry-run | grep -c ' pair '
