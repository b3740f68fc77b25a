/*
 * heapmark-trial: the measured process. Started by heapmark only; one trial, then it ends.
 */
#include "trial/trial.h"

#include "workloads/registry.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct trial_shared *map_shared(void)
{
    struct stat file;
    if (fstat(TRIAL_SHARED_FD, &file) != 0 || file.st_size < (off_t)sizeof(struct trial_shared))
        return NULL;
    size_t bytes = (size_t)file.st_size;
    struct trial_shared *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, TRIAL_SHARED_FD, 0);
    if (shared == MAP_FAILED || shared->spec.magic != TRIAL_MAGIC ||
        shared->spec.version != TRIAL_VERSION || shared->spec.shared_bytes != bytes ||
        trial_shared_bytes(&shared->spec) != bytes)
        return NULL;
    return shared;
}

static const void *map_input(struct trial *trial)
{
    uint64_t bytes = trial->spec->input_bytes;
    if (bytes == 0)
        return NULL;
    void *input = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, TRIAL_INPUT_FD, 0);
    if (input == MAP_FAILED)
        trial_fail(trial, TRIAL_OOM, "the harness could not map the trace (%zu bytes)",
                   (size_t)bytes);
    trial->result->harness_bytes += bytes;
    return input;
}

static void init_barrier(struct trial *trial, struct barrier *barrier)
{
    barrier->thread_count = trial->spec->threads;
    barrier->spins = trial->spec->spins;
}

static void init_workers(struct trial *trial)
{
    uint32_t count = trial->spec->threads;
    trial->workers = trial_map(trial, count * sizeof(struct worker));
    for (uint32_t i = 0; i < count; i++) {
        trial->workers[i].index = i;
        trial->workers[i].thread_count = count;
        trial->workers[i].trial = trial;
    }
}

static void check_params(struct trial *trial)
{
    const struct workload *workload = trial->workload;
    const char *why = workload->refusal ? workload->refusal(trial->spec->params) : NULL;
    if (why != NULL)
        trial_fail(trial, TRIAL_UNSUPPORTED, "%s", why);
}

int main(void)
{
    static struct trial trial;
    struct trial_shared *shared = map_shared();
    if (shared == NULL) {
        fputs("heapmark-trial: this program is started by heapmark; run 'heapmark run'\n", stderr);
        return 2;
    }
    trial.shared = shared;
    trial.spec = &shared->spec;
    trial.result = &shared->result;
    trial.result->harness_bytes = shared->spec.shared_bytes - sizeof *shared;
    clock_use(shared->spec.clock);
    identity_check(&trial);
    trial.result->stage = STAGE_SETUP;
    placement_pin(&trial, 0);
    placement_set_mempolicy(&trial);

    trial.workload = workload_find(shared->spec.workload);
    if (trial.workload == NULL)
        trial_fail(&trial, TRIAL_UNSUPPORTED, "this heapmark-trial has no workload '%s'",
                   shared->spec.workload);
    check_params(&trial);
    init_barrier(&trial, &trial.start_gate);
    init_barrier(&trial, &trial.body_gate);
    init_workers(&trial);
    trial.input = map_input(&trial);
    if (trial.workload->setup != NULL && trial.workload->setup(&trial) != 0) {
        trial.result->status = TRIAL_UNSUPPORTED;
        return 1;
    }
    loop_run(&trial);
    atomic_thread_fence(memory_order_release);
    trial.result->status = TRIAL_OK;
    /* Destructors of the allocator under test are not part of the trial, and some of them crash. */
    _exit(0);
}
