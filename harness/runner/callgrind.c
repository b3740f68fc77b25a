#include "runner/callgrind.h"

#include "util/errno_text.h"
#include "util/pool.h"
#include "util/say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Functions by name and object, in order of their first line. */
struct functions {
    struct callgrind_function *all;
    size_t count, capacity;
};

const char *callgrind_program(void)
{
    const char *search = getenv("PATH");
    struct strings places = strings_split(search != NULL ? search : "/usr/bin:/bin", ':');
    for (size_t i = 0; i < places.count; i++) {
        const char *path = pool_printf("%s/valgrind", places.items[i]);
        if (access(path, X_OK) == 0)
            return path;
    }
    say_error("counting instructions needs valgrind; install the package 'valgrind'");
    return NULL;
}

#if defined(__x86_64__)
#define VALGRIND_ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define VALGRIND_ARCHITECTURE "arm64"
#else
#define VALGRIND_ARCHITECTURE "unknown" /* no file has this name: there is no tool */
#endif

const char *callgrind_tool(const char *program)
{
    char *real = realpath(program, NULL);
    if (real == NULL)
        return NULL;
    const char *bin = pool_strdup(real);
    free(real);
    int length = (int)(strrchr(bin, '/') - bin);
    static const char *const places[] = {"libexec", "lib"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *path = pool_printf("%.*s/../%s/valgrind/callgrind-%s-linux", length, bin,
                                       places[i], VALGRIND_ARCHITECTURE);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* malloc'2 is malloc called by itself: the same function. */
static const char *plain_name(char *name)
{
    char *mark = strrchr(name, '\'');
    if (mark != NULL && mark[1] != '\0' && mark[1 + strspn(mark + 1, "0123456789")] == '\0')
        *mark = '\0';
    return name;
}

static struct callgrind_function *find(struct functions *list, const char *name, const char *object)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->all[i].name, name) == 0 && strcmp(list->all[i].object, object) == 0)
            return &list->all[i];
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : 256;
        struct callgrind_function *grown = pool_alloc(capacity * sizeof *grown);
        if (list->count > 0)
            memcpy(grown, list->all, list->count * sizeof *grown);
        list->all = grown;
        list->capacity = capacity;
    }
    list->all[list->count] =
        (struct callgrind_function){.name = pool_strdup(name), .object = pool_strdup(object)};
    return &list->all[list->count++];
}

/* A line of cost: "0 123". */
static int parse_cost(const char *line, uint64_t *cost)
{
    char *end;
    strtoull(line, &end, 10);
    if (end == line || *end != ' ')
        return -EINVAL;
    const char *number = end + 1;
    *cost = strtoull(number, &end, 10);
    return end != number && *end == '\0' ? 0 : -EINVAL;
}

/* What reading a profile line by line has come to. */
struct reading {
    struct functions functions;
    char *object;
    const char *function;
    int is_call; /* the next cost is that of a call, which the callee has as its own */
    int has_total;
    uint64_t total;
};

static const char *value_of(const char *line, const char *key)
{
    size_t length = strlen(key);
    return strncmp(line, key, length) == 0 ? line + length : NULL;
}

static int read_line(struct reading *r, char *line)
{
    const char *value;
    uint64_t cost;
    if ((value = value_of(line, "ob=")) != NULL) {
        r->object = pool_strdup(value);
    } else if ((value = value_of(line, "fn=")) != NULL) {
        r->function = plain_name(pool_strdup(value));
    } else if (value_of(line, "calls=") != NULL) {
        r->is_call = 1;
    } else if ((value = value_of(line, "totals: ")) != NULL) {
        r->total = strtoull(value, NULL, 10);
        r->has_total = 1;
    } else if (*line >= '0' && *line <= '9') {
        if (r->function == NULL || parse_cost(line, &cost) != 0)
            return -EINVAL;
        if (!r->is_call)
            find(&r->functions, r->function, r->object != NULL ? r->object : "")->instructions +=
                cost;
        r->is_call = 0;
    }
    return 0;
}

static int by_instructions(const void *left, const void *right)
{
    const struct callgrind_function *a = left, *b = right;
    if (a->instructions != b->instructions)
        return a->instructions < b->instructions ? 1 : -1;
    return strcmp(a->name, b->name); /* the same order every time */
}

int callgrind_read(FILE *stream, struct callgrind_profile *profile)
{
    struct reading r = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int result = 0;
    while (result == 0 && (length = getline(&line, &capacity, stream)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        result = read_line(&r, line);
    }
    free(line);
    if (result != 0 || !r.has_total)
        return -EINVAL;
    if (r.functions.count > 0)
        qsort(r.functions.all, r.functions.count, sizeof *r.functions.all, by_instructions);
    *profile = (struct callgrind_profile){.instructions = r.total};
    while (profile->function_count < CALLGRIND_FUNCTIONS &&
           profile->function_count < r.functions.count) {
        profile->functions[profile->function_count] = r.functions.all[profile->function_count];
        profile->function_count++;
    }
    return 0;
}

int callgrind_take(const char *path, struct callgrind_profile *profile)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        say_error("callgrind left no profile in '%s': %s", path, errno_text(errno));
        return -EIO;
    }
    int result = callgrind_read(stream, profile);
    fclose(stream);
    unlink(path);
    if (result != 0)
        say_error("cannot read callgrind's profile '%s': unknown format; this valgrind is not "
                  "known",
                  path);
    return result;
}
