#include "util/shell.h"

#include "util/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Of what is neither a letter nor a digit: taken as it is by every shell, anywhere in a word. */
static const char harmless[] = "_@%+:,./-";

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

/* In $'...'. Octal digits: three end by themselves, while some shells take more than two of \x. */
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
            end += sprintf(end, "\\%03o", (unsigned char)*word);
        else
            end += sprintf(end, "%.*s", (int)bytes, word);
        word += bytes > 0 ? bytes : 1;
    }
    sprintf(end, "'");
    return text;
}

/* In '...', which an apostrophe must leave. */
static const char *quoted(const char *word)
{
    char *text = pool_alloc(4 * strlen(word) + sizeof "''"), *end = text;
    end += sprintf(end, "'");
    for (; *word != '\0'; word++)
        if (*word == '\'')
            end += sprintf(end, "'\\''");
        else
            *end++ = *word;
    sprintf(end, "'");
    return text;
}

static bool is_shown_whole(const char *word)
{
    unsigned bytes;
    while (*word != '\0' && (bytes = shown(word)) > 0)
        word += bytes;
    return *word == '\0';
}

/* A '=' in front is a command's path to zsh; elsewhere an argument may have it. */
static bool is_plain(const char *word)
{
    bool plain = *word != '\0' && *word != '=';
    for (; *word != '\0' && plain; word++)
        plain = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') ||
                (*word >= '0' && *word <= '9') || *word == '=' || strchr(harmless, *word) != NULL;
    return plain;
}

const char *shell_quote(const char *word)
{
    if (is_plain(word))
        return pool_strdup(word);
    return is_shown_whole(word) ? quoted(word) : escaped(word);
}

/* In front, NAME=TEXT sets a variable, and %1 is a job. */
static const char *quote_first(const char *word)
{
    bool misread = is_plain(word) && (strchr(word, '=') != NULL || *word == '%');
    return misread ? quoted(word) : shell_quote(word);
}

const char *shell_command(const char *words, size_t bytes)
{
    struct strings list = {0};
    for (const char *at = words; at < words + bytes; at += strlen(at) + 1)
        strings_add(&list, at == words ? quote_first(at) : shell_quote(at));
    return strings_join(&list, " ");
}

const char *utf8_text(const char *text)
{
    char *valid = pool_alloc(4 * strlen(text) + 1), *end = valid;
    *end = '\0';
    while (*text != '\0') {
        unsigned bytes;
        bool is_valid = decode((const unsigned char *)text, &bytes) != 0;
        end += is_valid ? sprintf(end, "%.*s", (int)bytes, text)
                        : sprintf(end, "\\x%02x", (unsigned char)*text);
        text += is_valid ? bytes : 1;
    }
    return valid;
}
