#include "job/knob.h"

#include "util/parse.h"
#include "util/pool.h"

#include <stdint.h>
#include <string.h>

const struct allocator_knob *knob_find(const struct allocator *allocator, const char *name)
{
    const struct allocator_knob *knob = allocator->knobs;
    while (knob->name != NULL && strcmp(knob->name, name) != 0 && strcmp(knob->name, "*") != 0)
        knob++;
    return knob->name != NULL ? knob : NULL;
}

/* ---- checking -------------------------------------------------------------------------------- */

/* Digits and, with `has_unit`, one of k, m, g: what every library that takes units understands. */
static bool read_whole(const char *text, bool has_unit, uint64_t *value)
{
    const char *unit = text + strspn(text, "0123456789");
    bool is_unit = has_unit && *unit != '\0' && strchr("kmgKMG", *unit) != NULL;
    return unit[is_unit] == '\0' && parse_bytes(text, value) == 0;
}

/* "-1", "0.5", "12": no exponent, no infinity. */
static bool is_decimal(const char *text)
{
    text += *text == '-';
    size_t whole = strspn(text, "0123456789");
    const char *rest = text + whole;
    size_t part = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
    return whole > 0 && rest[part > 0 ? part + 1 : 0] == '\0';
}

static bool is_word(const struct allocator_knob *knob, const char *value)
{
    for (size_t i = 0; knob->words[i] != NULL; i++)
        if (strcmp(knob->words[i], value) == 0)
            return true;
    return false;
}

bool knob_takes(const struct allocator_knob *knob, const char *value)
{
    uint64_t number;
    switch (knob->type) {
    case KNOB_TEXT: return *value != '\0';
    case KNOB_WORD: return is_word(knob, value);
    case KNOB_DECIMAL: return is_decimal(value) || is_word(knob, value);
    case KNOB_COUNT:
    case KNOB_BYTES: break;
    }
    return read_whole(value, knob->type == KNOB_BYTES, &number) && number >= knob->min &&
           number <= knob->max;
}

/* ---- telling --------------------------------------------------------------------------------- */

static const char *words_of(const struct allocator_knob *knob, const char *separator)
{
    struct strings words = {0};
    for (size_t i = 0; knob->words[i] != NULL; i++)
        strings_add(&words, knob->words[i]);
    return strings_join(&words, separator);
}

/* A limit as people write it for this knob; "" where there is none that anybody could pass. */
static const char *limit(const struct allocator_knob *knob, uint64_t value)
{
    char text[32];
    if (value >= INT64_MAX)
        return "";
    return knob->type == KNOB_BYTES ? pool_strdup(format_bytes(value, text))
                                    : pool_printf("%llu", (unsigned long long)value);
}

const char *knob_values(const struct allocator_knob *knob)
{
    switch (knob->type) {
    case KNOB_TEXT: return "text";
    case KNOB_WORD: return words_of(knob, "|");
    case KNOB_DECIMAL: return pool_printf("decimal|%s", words_of(knob, "|"));
    case KNOB_COUNT:
    case KNOB_BYTES: break;
    }
    return pool_printf("%s%s..%s", knob->type == KNOB_BYTES ? "size " : "", limit(knob, knob->min),
                       limit(knob, knob->max));
}

const char *knob_expects(const struct allocator_knob *knob)
{
    switch (knob->type) {
    case KNOB_TEXT: return "some text";
    case KNOB_WORD: return pool_printf("one of %s", words_of(knob, ", "));
    case KNOB_DECIMAL: return pool_printf("a decimal number or one of %s", words_of(knob, ", "));
    case KNOB_COUNT:
    case KNOB_BYTES: break;
    }
    const char *most = limit(knob, knob->max);
    return pool_printf("%s from %s %s%s",
                       knob->type == KNOB_BYTES ? "a size (k, m, g are units)" : "a whole number",
                       limit(knob, knob->min), *most != '\0' ? "to " : "on", most);
}
