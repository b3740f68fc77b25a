#!/bin/sh
# scripts/setup.sh: silent when all is there; without root and sudo it prints the line to run.
set -eu
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
said=$("$HEAPMARK_SOURCE/scripts/setup.sh" 2>&1)
[ -z "$said" ]

# A machine where nothing is installed, for a user who is nobody special; the network must stay untouched.
for tool in dpkg-query apt-get; do
    printf '#!/bin/sh\nexit 1\n' >"$bin/$tool"
done
printf '#!/bin/sh\necho 1000\n' >"$bin/id"
for tool in sh sed dirname cat; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done
chmod +x "$bin"/dpkg-query "$bin"/apt-get "$bin"/id
status=0
PATH=$bin "$HEAPMARK_SOURCE/scripts/setup.sh" >"$bin/out" 2>&1 </dev/null || status=$?
[ "$status" -eq 2 ]
[ "$(grep -c '^apt-get update && apt-get install ' "$bin/out")" -eq 1 ]
grep -q libhwloc-dev "$bin/out"
