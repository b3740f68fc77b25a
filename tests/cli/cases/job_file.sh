# A faulty job file: file, line, what was expected; nothing is run.
try() { echo "\$ heapmark $*"; heapmark "$@"; echo "exit $?"; }
printf '[global]\nreps = 2\n[a]\nworkload = pair\nsizes = 16\n' >unknown.ini
printf '[a]\nworkload = pair\nsize = 16,many\n' >value.ini
printf '[a]\nworkload = pair\nbaseline = jemalloc\n[b]\nworkload = pair\n' >baselines.ini
printf '[a]\nworkload = replay\ntrace = nothing-of-the-kind\n' >trace.ini
printf '[a]\nworkload = pair\nallocators = system,slub:sheaves=2\n' >knob.ini
try run unknown.ini
try run value.ini
try run baselines.ini
try run trace.ini
try run knob.ini
ls
