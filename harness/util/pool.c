#include "util/pool.h"

#include "util/say.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    struct piece *next;
    max_align_t memory[];
};

static struct piece *pieces;

void pool_reset(void)
{
    while (pieces != NULL) {
        struct piece *next = pieces->next;
        free(pieces);
        pieces = next;
    }
}

void *pool_alloc(size_t bytes)
{
    static int is_registered;
    if (!is_registered)
        is_registered = atexit(pool_reset) == 0;
    struct piece *piece = calloc(1, sizeof *piece + bytes);
    if (piece == NULL) {
        say_error("out of memory");
        exit(1);
    }
    piece->next = pieces;
    pieces = piece;
    return piece->memory;
}

char *pool_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(pool_alloc(bytes), text, bytes);
}

char *pool_printf(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = pool_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void strings_add(struct strings *list, const char *item)
{
    if (list->count + 1 >= list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        const char **items = pool_alloc(capacity * sizeof *items);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

void strings_append(struct strings *list, struct strings more)
{
    for (size_t i = 0; i < more.count; i++)
        strings_add(list, more.items[i]);
}

static char *trimmed(const char *begin, const char *end)
{
    while (begin < end && isspace((unsigned char)*begin))
        begin++;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    return pool_printf("%.*s", (int)(end - begin), begin);
}

struct strings strings_split(const char *text, char separator)
{
    struct strings list = {0};
    if (*text == '\0')
        return list;
    for (;;) {
        const char *end = strchrnul(text, separator);
        strings_add(&list, trimmed(text, end));
        if (*end == '\0')
            return list;
        text = end + 1;
    }
}

const char *strings_join(const struct strings *list, const char *separator)
{
    const char *text = "";
    for (size_t i = 0; i < list->count; i++)
        text = pool_printf("%s%s%s", text, i ? separator : "", list->items[i]);
    return text;
}
