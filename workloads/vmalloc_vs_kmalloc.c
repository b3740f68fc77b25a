/*
 * vmalloc-vs-kmalloc: large blocks by one way or the other. kmalloc returns memory whose page
 * frames are neighbours, which have to be found; vmalloc takes any frames and maps them side by
 * side, which costs page tables now and TLB entries later. Sweep `size` to see where they meet,
 * and `touch` to see what the use of the memory adds.
 */
#include "workloads/kernel_ops.h"

enum { SIZE, VIA, COUNT, TOUCH };
enum { VIA_KMALLOC, VIA_VMALLOC };
enum { TOUCH_NONE, TOUCH_ENDS, TOUCH_PAGES, TOUCH_ALL };

static const char *const ways[] = {"kmalloc", "vmalloc", NULL};
static const char *const touches[] = {"none", "ends", "pages", "all", NULL};

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64k", 16, 4 << 20, NULL, "size of each block"},
    [VIA] = {"via", OPTION_CHOICE, "kmalloc", 0, 0, ways, "interface; the adapter's is malloc"},
    [COUNT] = {"count", OPTION_COUNT, "16", 1, 100000, NULL, "live blocks of each thread"},
    [TOUCH] = {"touch", OPTION_CHOICE, "pages", 0, 0, touches,
               "what is written: nothing, the ends, a byte of each page, everything"},
    {.name = NULL},
};

struct area {
    const struct kernel_ops *ops; /* NULL: the adapter */
    size_t size;
    uint64_t via, touch, count;
    void **blocks;
};

HM_INLINE void *block_alloc(struct worker *w, const struct area *a, bool native, bool timed)
{
    if (!native)
        return op_malloc(w, a->size, timed);
    uint64_t begin = sample_begin(w, timed);
    void *block =
        a->via == VIA_VMALLOC ? a->ops->vmalloc(a->size) : a->ops->kmalloc(a->size, GFP_KERNEL);
    sample_end(w, OP_MALLOC, begin);
    return op_checked(w, block, a->size);
}

HM_INLINE void block_free(struct worker *w, const struct area *a, void *block, bool native,
                          bool timed)
{
    if (!native) {
        op_free(w, block, timed);
        return;
    }
    uint64_t begin = sample_begin(w, timed);
    if (a->via == VIA_VMALLOC)
        a->ops->vfree(block);
    else
        a->ops->kfree(block);
    sample_end(w, OP_FREE, begin);
}

/* The stamp at the ends, which every touched block has, without the pages between. */
static void ends_write(void *block, size_t size)
{
    uint64_t value = stamp_value(block, size);
    memcpy(block, &value, sizeof value);
    memcpy((char *)block + size - sizeof value, &value, sizeof value);
}

static bool ends_are_whole(const void *block, size_t size)
{
    uint64_t value = stamp_value(block, size);
    return memcmp(block, &value, sizeof value) == 0 &&
           memcmp((const char *)block + size - sizeof value, &value, sizeof value) == 0;
}

/* The ends come last: pages or the whole block may be written over them. */
static void block_touch(void *block, size_t size, uint64_t touch)
{
    volatile char *bytes = block;
    if (touch == TOUCH_NONE)
        return;
    if (touch == TOUCH_PAGES)
        for (size_t at = 0; at < size; at += PAGE_SIZE)
            bytes[at] = 1;
    if (touch == TOUCH_ALL)
        memset(block, 1, size);
    ends_write(block, size);
}

/* Wipes one end: a second owner of the block then misses its stamp. */
static void block_check(struct worker *w, void *block, size_t size, uint64_t touch)
{
    if (touch == TOUCH_NONE)
        return;
    if (HM_UNLIKELY(!ends_are_whole(block, size)))
        worker_corrupt(w, block, size);
    memset(block, 0, sizeof(uint64_t));
}

HM_INLINE void run_areas(struct worker *w, bool native, bool timed)
{
    const struct area *a = w->state;
    for (uint64_t round = 0; round < w->work; round++) {
        for (uint64_t i = 0; i < a->count; i++) {
            a->blocks[i] = block_alloc(w, a, native, timed);
            block_touch(a->blocks[i], a->size, a->touch);
            worker_live(w, (int64_t)a->size);
        }
        for (uint64_t i = 0; i < a->count; i++) {
            block_check(w, a->blocks[i], a->size, a->touch);
            worker_live(w, -(int64_t)a->size);
            block_free(w, a, a->blocks[i], native, timed);
        }
    }
    w->ops += 2 * w->work * a->count;
}

HM_INLINE void vmalloc_vs_kmalloc(struct worker *w, bool timed)
{
    if (((const struct area *)w->state)->ops != NULL)
        run_areas(w, true, timed);
    else
        run_areas(w, false, timed);
}
WORKLOAD_INSTANCES(vmalloc_vs_kmalloc)

static int setup(struct trial *trial)
{
    uint64_t via = trial_param(trial, VIA), count = trial_param(trial, COUNT);
    const struct kernel_ops *ops =
        kernel_ops_find(trial, via == VIA_VMALLOC ? KERNEL_VMALLOC : KERNEL_KMALLOC);
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        struct area *a = trial_map(trial, sizeof *a);
        *a = (struct area){
            .ops = ops,
            .size = trial_param(trial, SIZE),
            .via = via,
            .touch = trial_param(trial, TOUCH),
            .count = count,
            .blocks = trial_map(trial, count * sizeof *a->blocks),
        };
        trial_worker(trial, i)->state = a;
    }
    return 0;
}

const struct workload workload_vmalloc_vs_kmalloc = {
    .name = "vmalloc-vs-kmalloc",
    .summary = "large blocks: page frames that are neighbours, or any frames mapped side by side?",
    .source = "Linux, Documentation/core-api/memory-allocation.rst",
    .work_unit = "rounds of allocating and freeing all blocks",
    .options = options,
    .setup = setup,
    .run = vmalloc_vs_kmalloc_plain,
    .run_timed = vmalloc_vs_kmalloc_timed,
};
