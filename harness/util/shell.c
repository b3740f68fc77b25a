#include "util/shell.h"

#include "util/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char special[] = " \"\\$`!*?[](){}<>|&;#~";

/* The character at `at` and in *bytes its length; 0 where no valid UTF-8 begins there. */
static uint32_t decode(const unsigned char *at, unsigned *bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *bytes = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (*bytes <= 1)
        return *bytes == 1 ? *at : 0;
    uint32_t character = *at & (0x7fu >> *bytes);
    for (unsigned i = 1; i < *bytes; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        character = character << 6 | (at[i] & 0x3fu);
    }
    bool is_surrogate = character >> 11 == 0x1b;
    return character >= least[*bytes] && character <= 0x10ffff && !is_surrogate ? character : 0;
}

/* What a terminal may act upon: controls, C1 included, and marks that turn the text's direction. */
static bool acts(uint32_t character)
{
    return character < ' ' || (character >= 0x7f && character < 0xa0) || character == 0x61c ||
           character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

/* Bytes at `at` that may be shown as they are; 0: the first one must be escaped. */
static unsigned shown(const char *at)
{
    unsigned bytes;
    uint32_t character = decode((const unsigned char *)at, &bytes);
    return acts(character) ? 0 : bytes;
}

static const char *escaped(const char *word)
{
    char *text = pool_alloc(4 * strlen(word) + sizeof "$''"), *end = text;
    end += sprintf(end, "$'");
    while (*word != '\0') {
        unsigned bytes = shown(word);
        if (*word == '\n')
            end += sprintf(end, "\\n");
        else if (*word == '\\' || *word == '\'')
            end += sprintf(end, "\\%c", *word);
        else if (bytes == 0)
            end += sprintf(end, "\\x%02x", (unsigned char)*word);
        else
            end += sprintf(end, "%.*s", (int)bytes, word);
        word += bytes > 0 ? bytes : 1;
    }
    sprintf(end, "'");
    return text;
}

const char *shell_quote(const char *word)
{
    bool is_odd = strchr(word, '\'') != NULL;
    for (const char *at = word; *at != '\0' && !is_odd;) {
        unsigned bytes = shown(at);
        is_odd = bytes == 0;
        at += bytes;
    }
    if (is_odd)
        return escaped(word);
    bool is_plain = *word != '\0' && strpbrk(word, special) == NULL;
    return is_plain ? pool_strdup(word) : pool_printf("'%s'", word);
}

const char *shell_command(const char *words, size_t bytes)
{
    struct strings quoted = {0};
    for (const char *at = words; at < words + bytes; at += strlen(at) + 1)
        strings_add(&quoted, shell_quote(at));
    return strings_join(&quoted, " ");
}
