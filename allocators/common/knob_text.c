#include "knob_text.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "out.h"

enum { STRUCTURE_BYTES_MAX = 256 };

static const struct knob *knob_named(const struct knob *knobs, const char *name, size_t length)
{
    for (; knobs->name; knobs++)
        if (strlen(knobs->name) == length && memcmp(knobs->name, name, length) == 0)
            return knobs;
    return NULL;
}

/* A decimal number with an optional k, m or g. False unless all of text..end is one that fits. */
static bool parse_size(const char *text, const char *end, size_t *value)
{
    size_t n = 0;
    int shift = 0;

    if (text == end)
        return false;
    for (; text < end && *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *text - '0', &n))
            return false;
    if (text == end - 1) {
        char suffix = *text | 0x20;

        shift = suffix == 'k' ? 10 : suffix == 'm' ? 20 : suffix == 'g' ? 30 : 0;
        if (shift == 0 || n > SIZE_MAX >> shift)
            return false;
        text++;
    }
    *value = n << shift;
    return text == end;
}

/* The index of the word text..end among `words`. */
static bool parse_word(const char *const *words, const char *text, const char *end, size_t *value)
{
    size_t length = (size_t)(end - text);

    for (*value = 0; words[*value]; ++*value)
        if (strlen(words[*value]) == length && memcmp(words[*value], text, length) == 0)
            return true;
    return false;
}

/* As it may be written in the variable; of what may be a count no kibibytes are made. */
static void put_size(struct out *o, size_t value)
{
    static const char *const suffixes[] = {"", "k", "m", "g"};
    int suffix = 0;

    for (bool is_size = value >= (size_t)1 << 20; is_size && suffix < 3 && value % 1024 == 0;
         suffix++)
        value /= 1024;
    out_put(o, "%u%s", value, suffixes[suffix]);
}

static void put_values(struct out *o, const struct knob *k)
{
    if (!k->words) {
        out_put(o, "=");
        put_size(o, k->min);
        out_put(o, "..");
        put_size(o, k->max);
        return;
    }
    for (size_t i = 0; k->words[i]; i++)
        out_put(o, "%s%s", i ? "|" : "=", k->words[i]);
}

static void complain(const char *problem, const char *start, const char *end, const char *variable,
                     const struct knob *knobs)
{
    struct out o = out_to_fd(STDERR_FILENO);
    char word[64];
    size_t length = (size_t)(end - start);

    if (length >= sizeof word)
        length = sizeof word - 1;
    memcpy(word, start, length);
    word[length] = '\0';
    out_put(&o, "%s: %s '%s' in %s; knobs, joined by ':', are", fault_subject, problem, word,
            variable);
    for (const struct knob *k = knobs; k->name; k++) {
        out_put(&o, "%s %s", k == knobs ? "" : ",", k->name);
        put_values(&o, k);
    }
    out_put(&o, "; k, m and g are units; using the defaults\n");
    out_flush(&o);
}

/* What is wrong with the "name=value" from start to end, or NULL when it went into `into`. */
static const char *read_one(const char *start, const char *end, const struct knob *knobs,
                            void *into)
{
    const char *equals = memchr(start, '=', (size_t)(end - start));
    const struct knob *k = knob_named(knobs, start, (size_t)((equals ? equals : end) - start));
    size_t value;

    if (memchr(start, ',', (size_t)(end - start)))
        return "',' in place of ':' in";
    if (!k)
        return "unknown knob";
    if (k->words) {
        if (!equals || !parse_word(k->words, equals + 1, end, &value))
            return "no such value for knob";
    } else {
        if (!equals || !parse_size(equals + 1, end, &value))
            return "no number for knob";
        if (value < k->min || value > k->max)
            return "value out of range for knob";
    }
    *(size_t *)((char *)into + k->offset) = value;
    if (k->set)
        k->set(into);
    return NULL;
}

bool knob_text_read(const char *text, const char *variable, const struct knob *knobs, void *into,
                    size_t bytes)
{
    _Alignas(max_align_t) char parsed[STRUCTURE_BYTES_MAX];

    memcpy(parsed, into, bytes);
    for (const char *end;; text = end + 1) {
        end = strchrnul(text, ':');
        const char *problem = read_one(text, end, knobs, parsed);

        if (problem) {
            complain(problem, text, end, variable, knobs);
            return false;
        }
        if (*end == '\0')
            break;
    }
    memcpy(into, parsed, bytes);
    return true;
}
