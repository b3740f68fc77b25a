#!/bin/sh
# Writes the generated pages of docs/ from the program's own tables (default: ./build/heapmark).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
heapmark=${1:-$root/build/heapmark}
page() {
    printf '# %s\n\n%s Made by `scripts/docs.sh`.\n\n' "$2" "$3"
    "$heapmark" list "$1" --markdown
}
to=${2:-$root/docs}
page metrics "The columns of trials.csv" "From \`harness/results/record.def\`. An empty field means: not available." >"$to/metrics.md"
page options "Options of a run" "From \`harness/job/options.def\`: long options of \`heapmark run\` and keys of job files." >"$to/options.md"
page knobs "Knobs of the allocators" "From the allocators' descriptors: what \`NAME:KNOB=VALUE\` takes. \`*\` is any other name; a size may end in k, m or g. A value that does not fit is refused, and nothing runs. What a foreign library makes of \`text\` only it knows: where it says that it ignored a setting (jemalloc, scudo), the trial is \`unsupported\`; where it says nothing (mimalloc and tcmalloc at a name that they do not know), the default is measured, and heapmark cannot tell. The ranges of \`system\` are those of glibc 2.36." >"$to/knobs.md"
page workloads "Workloads" "From the workloads' own descriptions." >"$to/workloads.md"
