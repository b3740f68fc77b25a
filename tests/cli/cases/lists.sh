# What there is, as far as it does not depend on the machine.
heapmark list workloads
heapmark list jobs
heapmark list metrics --csv
heapmark list knobs
heapmark list allocators --csv | cut -d, -f1,4,5
