/*
 * The operations on cells: where CPUs have blocks, one restartable sequence each; in a thread's slot the same in
 * plain code.
 */
#include "blocks.h"

/*
 * The statement behind it is for the calling thread's slot, and left out if that has none or is stopped. It must not
 * be left but at its end.
 */
#define in_slot(b) for (struct cpu_block *b = slot_enter(); b; slot_leave(b), b = NULL)

/* As the sequences find it. */
static void *cell_in(struct cpu_block *b, size_t cell)
{
    return (char *)b + b->bias + cell;
}

void *percpu_take(unsigned index)
{
    void *object = NULL, *ahead;

    if (percpu_mode != PERCPU_THREAD)
        return percpu_take_fast(PERCPU_NONE, PERCPU_SHEAF_CELL(index), &object, &ahead) ? object
                                                                                        : NULL;
    in_slot (b) {
        struct cpu_sheaf *s = block_sheaf(b, index);

        object = s->top[-1];
        if (object)
            s->top--;
    }
    return object;
}

bool percpu_put(unsigned index, int node, void *object)
{
    unsigned at = percpu_index(node, index);
    bool done = false;

    if (percpu_mode != PERCPU_THREAD)
        return percpu_put_fast(PERCPU_SHEAF_CELL(at), object);
    in_slot (b) {
        struct cpu_sheaf *s = &b->sheaf[at];

        done = cell_starts(s->magic, object) && s->top != s->end && s->top[-1] != object;
        if (done)
            *s->top++ = object;
    }
    return done;
}

static bool swap_on_cpu(size_t cell, struct cpu_pair pair, struct cpu_pair *old)
{
    rseq_pair new, was;
    bool done;

    __builtin_memcpy(&new, &pair, sizeof new);
    done = rseq_swap(percpu_area.rseq, PERCPU_ALLOC, PERCPU_NONE, cell, new, &was);
    if (done)
        __builtin_memcpy(old, &was, sizeof was);
    return done;
}

bool percpu_swap(size_t cell, struct cpu_pair pair, struct cpu_pair *old)
{
    bool done = false;

    if (percpu_mode != PERCPU_THREAD)
        return swap_on_cpu(cell, pair, old);
    in_slot (b) {
        struct cpu_pair *at = cell_in(b, cell);

        *old = *at;
        *at = pair;
        done = true;
    }
    return done;
}

bool percpu_exchange(size_t cell, void *word, void **old)
{
    bool done = false;

    if (percpu_mode != PERCPU_THREAD)
        return rseq_exchange(percpu_area.rseq, PERCPU_ALLOC, PERCPU_NONE, cell, word, old);
    in_slot (b) {
        void **at = cell_in(b, cell);

        *old = *at;
        *at = word;
        done = true;
    }
    return done;
}

void *percpu_peek(size_t cell)
{
    struct cpu_block *here;
    void *word = NULL;

    if (percpu_mode != PERCPU_THREAD) {
        here = block_of_this_cpu();
        return here ? __atomic_load_n((void **)cell_in(here, cell), __ATOMIC_RELAXED) : NULL;
    }
    in_slot (b)
        word = *(void **)cell_in(b, cell);
    return word;
}

void *percpu_list_take(size_t cell, size_t offset, uintptr_t key)
{
    void *object = NULL;

    if (percpu_mode != PERCPU_THREAD)
        return rseq_list_pop(percpu_area.rseq, PERCPU_ALLOC, PERCPU_NONE, cell, offset, key);
    in_slot (b) {
        void **head = cell_in(b, cell), **at;

        object = *head;
        if (object) {
            at = (void **)((char *)object + offset);
            *head = percpu_mangle(*at, at, key);
        }
    }
    return object;
}

bool percpu_list_put(size_t cell, void *owner, void *object, size_t offset, uintptr_t key)
{
    void **at = (void **)((char *)object + offset);
    bool done = false;

    if (percpu_mode != PERCPU_THREAD)
        return rseq_list_push(percpu_area.rseq, PERCPU_ALLOC, PERCPU_NONE, cell, owner, object,
                              offset, key);
    in_slot (b) {
        void **head = cell_in(b, cell);

        done = head[1] == owner && head[0] != object;
        if (done) {
            *at = percpu_mangle(head[0], at, key);
            head[0] = object;
        }
    }
    return done;
}
