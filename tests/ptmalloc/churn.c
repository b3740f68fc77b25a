/*
 * The long run: threads are born, allocate mixed sizes, hand blocks to each other and die, and the
 * blocks they leave behind are freed by others much later. What fragments a heap over days is here
 * in minutes: every life prefers sizes of its own and fills its shelf to a level of its own.
 *
 *     churn LIVES [SEED [THREADS]]
 *
 * Calls the standard names only, so that what is measured is decided by LD_PRELOAD. The work is
 * fixed by LIVES and SEED: which sizes are live at the end is the same for every allocator, and
 * their resident memory compares. (Up to the scheduler is only whose block of a size one gets.) A block
 * that changed ends the program with a message and status 1.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OPS         20000 /* operations of one life */
#define SLOTS       4096  /* blocks on one shelf */
#define SHELF_BYTES ((size_t)16 << 20)
#define SHELVES_MAX 33
#define GRAIN       16   /* sizes that differ by less are one to the exchange */
#define BOX_BYTES   4096 /* largest block that is handed on */
#define BOXES       16   /* blocks of one size in the exchange */
#define REPORTS     200

/* A block says how long it is and what it is filled with. */
struct block {
    size_t bytes;
    uint64_t tag;
};

/* Blocks that outlive the thread that filled it: the next life on the shelf inherits them. */
struct shelf {
    struct block *slot[SLOTS];
    _Atomic size_t bytes;
};

struct life {
    struct shelf *shelf;
    uint64_t random;
    unsigned flavour; /* shifts the sizes this life prefers */
    size_t level;     /* fills its shelf up to so many bytes */
};

static struct shelf shelves[SHELVES_MAX];
static _Atomic(struct block *) box[BOX_BYTES / GRAIN + 1][BOXES];

static uint64_t draw(struct life *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random * 0x2545f4914f6cdd1du >> 16;
}

static size_t between(struct life *l, size_t low, size_t high)
{
    return low + draw(l) % (high - low);
}

/* Mostly small, as in a fleet of servers; a few pages at times, rarely megabytes. */
static size_t draw_bytes(struct life *l)
{
    uint64_t kind = draw(l) % 2048;

    if (kind == 0)
        return between(l, (size_t)1 << 20, (size_t)4 << 20);
    if (kind < 16)
        return between(l, 64 << 10, 256 << 10);
    if (kind < 64)
        return between(l, 8 << 10, 64 << 10);
    if (kind < 300)
        return between(l, 1 << 10, 8 << 10);
    if (kind < 800)
        return between(l, 128, 1 << 10);
    return 16 + (draw(l) % 112 + l->flavour) % 224;
}

/* Words that are written and compared: one in each page and the last. */
static uint64_t *word_at(struct block *b, size_t page)
{
    size_t offset = page * 4096 + sizeof *b, last = (b->bytes - 8) & ~(size_t)7;

    return (uint64_t *)((char *)b + (offset < last ? offset : last));
}

static void fill(struct block *b, size_t bytes, uint64_t tag)
{
    *b = (struct block){bytes, tag};
    if (bytes >= sizeof *b + 8)
        for (size_t page = 0; page <= bytes / 4096; page++)
            *word_at(b, page) = tag;
}

static void verify(struct block *b)
{
    bool whole = b->bytes >= sizeof *b;

    if (whole && b->bytes >= sizeof *b + 8)
        for (size_t page = 0; page <= b->bytes / 4096; page++)
            whole &= *word_at(b, page) == b->tag;
    if (whole)
        return;
    fprintf(stderr, "churn: block %p of %zu bytes changed\n", (void *)b, b->bytes);
    exit(1);
}

static struct block *require(void *memory)
{
    if (memory)
        return memory;
    fprintf(stderr, "churn: memory was refused\n");
    exit(1);
}

static size_t grains(const struct block *b)
{
    return (b->bytes + GRAIN - 1) / GRAIN;
}

static void put(struct life *l, size_t i, struct block *b)
{
    l->shelf->slot[i] = b;
    l->shelf->bytes += grains(b) * GRAIN;
}

static struct block *take(struct life *l, size_t i)
{
    struct block *b = l->shelf->slot[i];

    l->shelf->slot[i] = NULL;
    l->shelf->bytes -= grains(b) * GRAIN;
    verify(b);
    return b;
}

static struct block *allocate(size_t bytes)
{
    struct block *b = require(bytes % 16 ? malloc(bytes) : calloc(1, bytes));

    fill(b, bytes, (uintptr_t)b ^ bytes);
    return b;
}

static void fill_slot(struct life *l, size_t i)
{
    size_t bytes = draw_bytes(l);

    if (l->shelf->bytes + bytes <= l->level)
        put(l, i, allocate(bytes));
}

static void resize_slot(struct life *l, size_t i)
{
    struct block *b = take(l, i);
    size_t old = grains(b) * GRAIN, bytes = old / 2 + draw(l) % old;
    uint64_t tag = b->tag;

    if (bytes < sizeof *b)
        bytes = sizeof *b;
    b = require(realloc(b, bytes));
    if (b->tag != tag)
        b->bytes = 0; /* realloc lost its contents: verify() says so */
    else
        fill(b, bytes, tag);
    verify(b);
    put(l, i, b);
}

/* Changes a block for one of its size that another thread left, or leaves the first one. */
static void swap_slot(struct life *l, size_t i)
{
    size_t n = draw(l) % BOXES;
    struct block *b = l->shelf->slot[i], *mine;

    if (b->bytes > BOX_BYTES)
        return;
    mine = take(l, i);
    b = atomic_exchange(&box[grains(mine)][n], mine);
    put(l, i, b ? b : allocate(mine->bytes));
}

static void step(struct life *l)
{
    size_t i = draw(l) % SLOTS;
    unsigned kind = draw(l) % 16;

    if (!l->shelf->slot[i])
        fill_slot(l, i);
    else if (kind == 0)
        resize_slot(l, i);
    else if (kind < 3)
        swap_slot(l, i);
    else
        free(take(l, i));
}

static void *live(void *life)
{
    struct life *l = life;

    for (size_t i = 0; i < OPS; i++)
        step(l);
    return NULL;
}

static void begin(struct life *l, size_t number, uint64_t seed, unsigned threads)
{
    *l = (struct life){
        .shelf = &shelves[number % (2 * threads + 1)],
        .random = (seed << 32 | number) * 0x9e3779b97f4a7c15u | 1,
    };
    l->flavour = (unsigned)(draw(l) % 224);
    l->level = SHELF_BYTES / 4 * (1 + draw(l) % 4);
}

static size_t live_bytes(void)
{
    size_t sum = 0;

    for (size_t i = 0; i < SHELVES_MAX; i++)
        sum += shelves[i].bytes;
    return sum;
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    if (!statm || fscanf(statm, "%*u %lu", &pages) != 1)
        exit(2);
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void report(const char *when, size_t number)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("%s lives=%zu rss_bytes=%zu live_bytes=%zu rss_bytes_peak=%zu\n", when, number,
           resident(), live_bytes(), (size_t)usage.ru_maxrss << 10);
    fflush(stdout);
}

static void free_all(void)
{
    struct life l = {.random = 1};

    for (l.shelf = shelves; l.shelf < shelves + SHELVES_MAX; l.shelf++)
        for (size_t i = 0; i < SLOTS; i++)
            if (l.shelf->slot[i])
                free(take(&l, i));
    for (size_t i = 0; i < sizeof box / sizeof box[0]; i++)
        for (size_t n = 0; n < BOXES; n++)
            if (box[i][n]) {
                verify(box[i][n]);
                free(box[i][n]);
            }
}

int main(int argc, char **argv)
{
    size_t lives = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    uint64_t seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2;
    pthread_t thread[SHELVES_MAX / 2];
    struct life life[SHELVES_MAX / 2];

    if (lives == 0 || threads == 0 || threads > SHELVES_MAX / 2) {
        fprintf(stderr, "usage: churn LIVES [SEED [THREADS]]: at least one life, 1 to %d threads\n",
                SHELVES_MAX / 2);
        return 2;
    }
    for (size_t n = 0; n < lives + threads; n++) {
        unsigned at = (unsigned)(n % threads);

        if (n >= threads && n - threads < lives)
            pthread_join(thread[at], NULL);
        if (n < lives) {
            begin(&life[at], n, seed, threads);
            if (pthread_create(&thread[at], NULL, live, &life[at]) != 0)
                return 2;
        }
        if (n > 0 && n < lives && n % (lives / REPORTS + 1) == 0)
            report("run", n);
    }
    report("end", lives);
    free_all();
    report("freed", lives);
    return 0;
}
