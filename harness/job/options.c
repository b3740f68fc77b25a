#include "job/options.h"

#include "util/nearest.h"
#include "util/parse.h"
#include "util/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct run_option run_options[OPT_COUNT] = {
#define OPTION(id, name, type, scope, argument, fallback, min, max, help) \
    [OPT_##id] = {name, TYPE_##type, SCOPE_##scope, argument, fallback, min, max, help},
#include "job/options.def"
#undef OPTION
};

const struct run_option *run_option_find(const char *name)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (strcmp(run_options[i].name, name) == 0)
            return &run_options[i];
    return NULL;
}

static int parse_flag(const char *text, uint64_t *value)
{
    static const char *const yes[] = {"yes", "1", "true", "on"}, *const no[] = {"no", "0", "false",
                                                                                "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0)
            return *value = 1, 0;
        if (strcmp(text, no[i]) == 0)
            return *value = 0, 0;
    }
    return -EINVAL;
}

/* "2%", "0.5%" or "2": thousandths of a percent. */
static int parse_percent(const char *text, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    double percent = strtod(text, &end);
    if (*end == '%')
        end++;
    if (*end != '\0' || !(percent <= 1000))
        return -EINVAL;
    *value = (uint64_t)(percent * 1000 + 0.5);
    return 0;
}

static int parse_as(enum run_option_type type, const char *text, uint64_t *value)
{
    switch (type) {
    case TYPE_COUNTS:
    case TYPE_COUNT: return parse_count(text, value);
    case TYPE_BYTES: return parse_bytes(text, value);
    case TYPE_DURATION: return parse_duration_ns(text, value);
    case TYPE_FLAG: return parse_flag(text, value);
    case TYPE_PERCENT: return parse_percent(text, value);
    default: return -EINVAL;
    }
}

static void describe_expected(const struct run_option *option, char *expected, size_t bytes)
{
    char low[32], high[32];
    switch (option->type) {
    case TYPE_COUNT:
    case TYPE_COUNTS:
        if (option->max == UINT64_MAX)
            snprintf(expected, bytes, "a whole number from %llu", (unsigned long long)option->min);
        else
            snprintf(expected, bytes, "%s from %llu to %llu",
                     option->type == TYPE_COUNTS ? "whole numbers" : "a whole number",
                     (unsigned long long)option->min, (unsigned long long)option->max);
        break;
    case TYPE_BYTES: snprintf(expected, bytes, "a size such as 64k or 2g"); break;
    case TYPE_DURATION:
        snprintf(expected, bytes, "a time such as 100ms or 2s, from %s to %s",
                 format_duration(option->min, low), format_duration(option->max, high));
        break;
    case TYPE_FLAG: snprintf(expected, bytes, "yes or no"); break;
    case TYPE_PERCENT: snprintf(expected, bytes, "a percentage above 0 such as 2%%"); break;
    default: snprintf(expected, bytes, "a value"); break;
    }
}

static int check_one(const struct run_option *option, const char *value)
{
    uint64_t number;
    if (option->type == TYPE_NAMES || option->type == TYPE_TEXT)
        return *value != '\0' ? 0 : -EINVAL;
    if (parse_as(option->type, value, &number) != 0)
        return -EINVAL;
    if (option->type == TYPE_FLAG)
        return 0;
    return number >= option->min && number <= option->max ? 0 : -EINVAL;
}

int run_option_check(const struct run_option *option, const char *value, char *expected,
                     size_t bytes)
{
    int is_list = option->type == TYPE_NAMES || option->type == TYPE_COUNTS;
    struct strings items = {0};
    if (is_list)
        items = strings_split(value, ',');
    else
        strings_add(&items, value);
    int result = items.count > 0 ? 0 : -EINVAL;
    for (size_t i = 0; i < items.count && result == 0; i++)
        result = check_one(option, items.items[i]);
    if (result != 0)
        describe_expected(option, expected, bytes);
    return result;
}

uint64_t run_option_number(const struct run_option *option, const char *value)
{
    uint64_t number = 0;
    (void)parse_as(option->type, value, &number); /* checked when it was set */
    return number;
}

const char *run_option_nearest(const char *name, const char *const *more, size_t more_count)
{
    struct strings names = {0};
    for (size_t i = 0; i < OPT_COUNT; i++)
        strings_add(&names, run_options[i].name);
    for (size_t i = 0; i < more_count; i++)
        strings_add(&names, more[i]);
    return nearest(name, names.items, names.count);
}
