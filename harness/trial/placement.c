#include "trial/trial.h"
#include "util/errno_text.h"

#include <errno.h>
#include <numaif.h>
#include <sched.h>
#include <string.h>

void placement_pin(struct trial *trial, uint32_t worker)
{
    int cpu = trial->spec->cpus[worker];
    if (cpu == TRIAL_ANY_CPU)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        trial_fail(trial, TRIAL_UNSUPPORTED, "cannot pin thread %u to CPU %d: %s", worker, cpu,
                   errno_text(errno));
}

void placement_set_mempolicy(struct trial *trial)
{
    static const int modes[] = {
        [MEMPOLICY_DEFAULT] = MPOL_DEFAULT,       [MEMPOLICY_LOCAL] = MPOL_LOCAL,
        [MEMPOLICY_INTERLEAVE] = MPOL_INTERLEAVE, [MEMPOLICY_BIND] = MPOL_BIND,
        [MEMPOLICY_PREFERRED] = MPOL_PREFERRED,
    };
    const struct trial_spec *spec = trial->spec;
    if (spec->mempolicy == MEMPOLICY_DEFAULT)
        return;
    unsigned long nodes = spec->nodes;
    bool takes_nodes = spec->mempolicy != MEMPOLICY_LOCAL;
    if (set_mempolicy(modes[spec->mempolicy], takes_nodes ? &nodes : NULL,
                      takes_nodes ? TRIAL_NODES_MAX + 1 : 0) != 0)
        trial_fail(trial, TRIAL_UNSUPPORTED, "cannot set the memory policy: %s", errno_text(errno));
}
