/* Blocks: their making, the choice between those of CPUs and of threads, and how everybody is stopped. */
#include "blocks.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../os.h"
#include "../page/page.h"
#include "lock.h"

int percpu_mode;
void *percpu_no_sheaf[2];
void (*percpu_drain_block)(struct cpu_block *b);
/* Used by assembly, which the compiler does not look into. */
struct percpu_area percpu_area __attribute__((aligned(4096), used));
uintptr_t percpu_near_pool __attribute__((aligned(32), used)) = PERCPU_NO_POOL;

/* Of one node. */
static unsigned indices;
static struct {
    uint64_t magic;
    bool open;
} opened[PERCPU_CELLS];
static unsigned opened_end; /* one more than the highest open index */

/* Guards what follows, and is held from percpu_stop() to percpu_resume(). */
static struct lock blocks_lock;
static struct cpu_block *blocks, *free_slots;
static int slots; /* made so far */
static struct cpu_block *block_of_cpu[PERCPU_CPUS];
static bool unreachable; /* the last percpu_stop() had no barrier, and nobody enters a block */

static int rseq_cpu(void)
{
    int cpu;

    __asm__ volatile("movl %%fs:4(%1), %0" : "=r"(cpu) : "r"(__rseq_offset));
    return cpu;
}

static bool barrier_registered(void)
{
    return kmem_os.membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
}

/*
 * More than any number of a CPU here: the kernel's own sets of CPUs have room for all. Entries above
 * need not be written, which would cost the memory of two whole tables.
 */
static unsigned cpu_numbers(void)
{
    unsigned char set[PERCPU_CPUS / 8];
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);

    return bytes > 0 ? (unsigned)bytes * 8 : PERCPU_CPUS;
}

static void empty_tables(void)
{
    unsigned cpus = cpu_numbers();

    for (unsigned i = 0; i < cpus; i++)
        percpu_area.alloc[i] = percpu_area.free[i] = PERCPU_NONE;
    for (unsigned i = 0; i < 2; i++)
        percpu_area.unregistered_alloc[i] = percpu_area.unregistered_free[i] = PERCPU_NONE;
}

void percpu_start(enum percpu_mode want, unsigned indices_of_node)
{
    indices = indices_of_node;
    empty_tables();
    percpu_area.rseq = __rseq_offset;
    percpu_area.none[0] = (struct cpu_sheaf){.top = PERCPU_NO_TOP, .end = PERCPU_NO_TOP};
    if (want != PERCPU_THREAD && __rseq_size > 0 && rseq_cpu() >= 0 && barrier_registered()) {
        percpu_mode = PERCPU_RSEQ;
        return;
    }
    slots_start();
    percpu_mode = PERCPU_THREAD;
}

unsigned percpu_index(int node, unsigned index)
{
    return (unsigned)node * indices + index;
}

/* Without a sheaf it is full. On those of other nodes no sheaf is ever put. */
static void open_cell(struct cpu_block *b, unsigned index)
{
    for (unsigned node = 0; node < node_count(); node++)
        b->sheaf[percpu_index((int)node, index)] = (struct cpu_sheaf){
            .top = PERCPU_NO_TOP,
            .end = PERCPU_NO_TOP,
            .magic = opened[index].magic,
        };
}

void percpu_open(unsigned index, uint64_t magic)
{
    lock_take(&blocks_lock);
    opened[index].magic = magic;
    opened[index].open = true;
    if (index >= opened_end)
        opened_end = index + 1;
    percpu_area.none[index] = percpu_area.none[0];
    for (struct cpu_block *b = blocks; b; b = b->next)
        open_cell(b, index);
    lock_drop(&blocks_lock);
}

void percpu_close(unsigned index)
{
    opened[index].open = false;
}

/* Under blocks_lock. */
static struct cpu_block *new_block(int cpu)
{
    struct cpu_block *b = kmem_os.map(sizeof *b);

    if (!b)
        return NULL;
    b->cpu = cpu < 0 ? -++slots : cpu;
    b->node = cpu < 0 ? numa_node_id() : cpu_to_node((unsigned)cpu);
    b->bias = PERCPU_SHEAF_CELL(percpu_index(b->node, 0));
    *block_sheaf(b, 0) = percpu_area.none[0];
    for (unsigned i = 1; i < opened_end; i++)
        if (opened[i].open)
            open_cell(b, i);
    b->next = blocks;
    blocks = b;
    return b;
}

static void publish(struct cpu_block *b)
{
    __atomic_store_n(&percpu_area.free[b->cpu], (char *)b, __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_area.alloc[b->cpu], (char *)b + b->bias, __ATOMIC_RELEASE);
}

struct cpu_block *block_of_this_cpu(void)
{
    int cpu = rseq_cpu();

    return cpu < 0 ? NULL : __atomic_load_n(&block_of_cpu[cpu], __ATOMIC_RELAXED);
}

static bool has_block(int cpu)
{
    return __atomic_load_n(&percpu_area.alloc[cpu], __ATOMIC_RELAXED) != PERCPU_NONE;
}

static bool make_block_of(int cpu)
{
    struct cpu_block *b;
    bool made;

    if (cpu < 0 || __atomic_load_n(&block_of_cpu[cpu], __ATOMIC_RELAXED))
        return false; /* there is one: it is stopped just now */
    if (!lock_try(&blocks_lock))
        return false;
    if (!block_of_cpu[cpu] && !unreachable && (b = new_block(cpu)) != NULL) {
        __atomic_store_n(&block_of_cpu[cpu], b, __ATOMIC_RELAXED);
        publish(b);
    }
    made = has_block(cpu);
    lock_drop(&blocks_lock);
    return made;
}

bool percpu_ready(gfp_t gfp)
{
    bool may_make = gfpflags_allow_blocking(gfp);
    struct cpu_block *b;
    int cpu;

    if (percpu_mode == PERCPU_RSEQ) {
        cpu = rseq_cpu();
        return (cpu >= 0 && has_block(cpu)) || (may_make && make_block_of(cpu));
    }
    b = slot_mine() || (may_make && slot_make()) ? slot_enter() : NULL;
    if (b)
        slot_leave(b);
    return b != NULL;
}

unsigned percpu_number(void)
{
    struct cpu_block *b;
    int cpu;

    if (percpu_mode == PERCPU_THREAD) {
        b = slot_mine();
        return b ? (unsigned)-b->cpu : 0;
    }
    cpu = rseq_cpu();
    return cpu < 0 ? 0 : (unsigned)cpu;
}

int percpu_node(void)
{
    return node_count() == 1 ? 0 : numa_node_id();
}

bool percpu_reachable(void)
{
    return !__atomic_load_n(&unreachable, __ATOMIC_RELAXED);
}

/*
 * The C library never says so again once there was a second thread, not even in the child of a fork. Where the
 * system does not answer either, there may be others.
 */
static bool system_knows_one_thread(void)
{
    char text[4096];

    return kmem_os.read_text("/proc/self/status", text, sizeof text) > 0 &&
           strstr(text, "\nThreads:\t1\n") != NULL;
}

bool percpu_barrier(int command)
{
    return single_threaded() || kmem_os.membarrier(command) || system_knows_one_thread();
}

/* False: the system refused the barrier. */
static bool cpus_stop(void)
{
    for (struct cpu_block *b = blocks; b; b = b->next) {
        __atomic_store_n(&percpu_area.alloc[b->cpu], PERCPU_NONE, __ATOMIC_RELAXED);
        __atomic_store_n(&percpu_area.free[b->cpu], PERCPU_NONE, __ATOMIC_RELAXED);
    }
    /* Sections that read the old entries have ended or start again when this returns. */
    return percpu_barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
}

/*
 * Without the barrier somebody may still be inside a block. Nobody touches the blocks then, nor enters one
 * again, until a later stop gets its barrier.
 */
static void stop_locked(void)
{
    bool stopped = percpu_mode == PERCPU_THREAD ? slots_stop(blocks) : cpus_stop();

    __atomic_store_n(&unreachable, !stopped, __ATOMIC_RELAXED);
}

void percpu_stop(void)
{
    lock_take(&blocks_lock);
    stop_locked();
}

void percpu_resume(void)
{
    if (percpu_mode == PERCPU_THREAD && !unreachable)
        slots_resume(blocks);
    else if (!unreachable)
        for (struct cpu_block *b = blocks; b; b = b->next)
            publish(b);
    lock_drop(&blocks_lock);
}

bool percpu_try_stop(void)
{
    bool was;

    lock_take(&blocks_lock);
    was = unreachable;
    stop_locked();
    if (!unreachable)
        return true;
    /* Nobody touched a block meanwhile, so that whoever is inside one may stay there. */
    __atomic_store_n(&unreachable, was, __ATOMIC_RELAXED);
    percpu_resume();
    return false;
}

struct cpu_block *percpu_blocks(void)
{
    return unreachable ? NULL : blocks;
}

/*
 * What a thread was just changing, who knows how far, stays behind like the thread itself: any CPU's block, but
 * not this thread's slot. The tables are empty since the stop.
 */
static void leave_others_blocks(void)
{
    if (percpu_mode == PERCPU_RSEQ)
        for (struct cpu_block *b = blocks; b; b = b->next)
            block_of_cpu[b->cpu] = NULL;
    blocks = percpu_mode == PERCPU_RSEQ ? NULL : slot_mine();
    if (blocks)
        blocks->next = NULL;
}

/* The other threads' slots wait for new threads, with what is in them. */
static void free_others_slots(void)
{
    free_slots = NULL;
    for (struct cpu_block *b = blocks; b; b = b->next) {
        b->busy = 0; /* its thread was just looking whether it may enter */
        if (b != slot_mine()) {
            b->next_free = free_slots;
            free_slots = b;
        }
    }
}

/* The registration for barriers is inherited: it is a property of the memory, which fork copies. */
void percpu_after_fork_child(void)
{
    if (unreachable)
        leave_others_blocks();
    if (percpu_mode == PERCPU_THREAD)
        free_others_slots();
    __atomic_store_n(&unreachable, false, __ATOMIC_RELAXED);
}

/*
 * The child has written over cpu_id. The kernel writes it when the parent goes on; kernels that do only for who has
 * moved (Linux 6.19) leave it, and cpu_id_start still tells. In one instruction: where the kernel writes before it,
 * that number stays.
 */
pid_t percpu_after_vfork_parent(long result, int cpu)
{
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    unsigned none = (unsigned)RSEQ_CPU_ID_UNINITIALIZED;

    if (cpu >= 0)
        __atomic_compare_exchange_n(&area->cpu_id, &none, area->cpu_id_start, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (result >= 0)
        return (pid_t)result;
    errno = (int)-result;
    return -1;
}

struct cpu_block *percpu_new_slot(void)
{
    struct cpu_block *b;

    lock_take(&blocks_lock);
    b = unreachable ? NULL : free_slots;
    if (b)
        free_slots = b->next_free;
    else if (!unreachable)
        b = new_block(-1);
    lock_drop(&blocks_lock);
    return b;
}

void percpu_free_slot(struct cpu_block *b)
{
    lock_take(&blocks_lock);
    percpu_drain_block(b);
    b->next_free = free_slots;
    free_slots = b;
    lock_drop(&blocks_lock);
}
