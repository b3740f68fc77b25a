/*
 * A plain main() for fuzz targets where libFuzzer is missing: runs every file of the corpus
 * directory, then COUNT random mutations of them, always the same ones. driver DIRECTORY [COUNT]
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { INPUTS_MAX = 1000, INPUT_BYTES_MAX = 1 << 20, EDITS_MAX = 8 };

struct input {
    uint8_t *data;
    size_t bytes;
};

static struct input inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t rng = 1;

/* splitmix64 */
static uint64_t draw(uint64_t bound)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % bound;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_input(const char *directory, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rbe");
    struct input *input = &inputs[input_count];
    if (file == NULL || name[0] == '.' || input_count == INPUTS_MAX)
        return;
    input->data = malloc(INPUT_BYTES_MAX);
    input->bytes = fread(input->data, 1, INPUT_BYTES_MAX, file);
    input_count++;
    fclose(file);
}

static void mutate(struct input *input)
{
    for (uint64_t edits = 1 + draw(EDITS_MAX); edits > 0 && input->bytes > 0; edits--) {
        uint64_t at = draw(input->bytes);
        switch (draw(4)) {
        case 0: input->data[at] ^= (uint8_t)(1 << draw(8)); break;
        case 1: input->data[at] = (uint8_t)draw(256); break;
        case 2: input->bytes = at; break;
        default: { /* a piece of itself somewhere else */
            uint64_t from = draw(input->bytes);
            uint64_t room = input->bytes - (from > at ? from : at);
            memmove(input->data + at, input->data + from, draw(room + 1));
        }
        }
    }
}

int main(int argc, char **argv)
{
    struct dirent **names;
    int count = argc > 1 ? scandir(argv[1], &names, NULL, by_name) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY [MUTATIONS]\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        read_input(argv[1], names[i]->d_name);
        free(names[i]);
    }
    free(names);
    for (size_t i = 0; i < input_count; i++)
        LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].bytes);
    unsigned long mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    struct input mutant = {.data = malloc(INPUT_BYTES_MAX)};
    for (unsigned long i = 0; i < mutations && input_count > 0; i++) {
        const struct input *base = &inputs[draw(input_count)];
        memcpy(mutant.data, base->data, base->bytes);
        mutant.bytes = base->bytes;
        mutate(&mutant);
        LLVMFuzzerTestOneInput(mutant.data, mutant.bytes);
    }
    printf("%zu inputs and %lu mutations: no fault\n", input_count, mutations);
    return input_count == 0;
}
