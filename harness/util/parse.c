#include "util/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits only: no sign, no leading space, no overflow. */
static int parse_digits(const char *text, char **end, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    *value = strtoull(text, end, 10);
    return errno == 0 ? 0 : -EINVAL;
}

/* `unit` is one of "", "k", "m", "g" (any case), in powers of `base`. */
static int scale(uint64_t *value, const char *unit, uint64_t base)
{
    static const char units[] = "kmg";
    if (*unit == '\0')
        return 0;
    const char *at = strchr(units, *unit | 0x20);
    if (at == NULL || unit[1] != '\0')
        return -EINVAL;
    for (const char *u = units; u <= at; u++)
        if (__builtin_mul_overflow(*value, base, value))
            return -EINVAL;
    return 0;
}

int parse_count(const char *text, uint64_t *value)
{
    char *end;
    uint64_t number;
    if (parse_digits(text, &end, &number) != 0 || scale(&number, end, 1000) != 0)
        return -EINVAL;
    *value = number;
    return 0;
}

int parse_bytes(const char *text, uint64_t *value)
{
    char *end, unit[2] = "";
    uint64_t number;
    if (parse_digits(text, &end, &number) != 0)
        return -EINVAL;
    if (strchr("kmgKMG", *end) != NULL && *end != '\0')
        unit[0] = *end++;
    if (strcasecmp(end, "") != 0 && strcasecmp(end, "b") != 0 &&
        (unit[0] == '\0' || strcasecmp(end, "ib") != 0))
        return -EINVAL;
    if (scale(&number, unit, 1024) != 0)
        return -EINVAL;
    *value = number;
    return 0;
}

int parse_duration_ns(const char *text, uint64_t *value)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9},   {"s", 1e9},  {"ms", 1e6},  {"us", 1e3},
                 {"ns", 1.0}, {"m", 60e9}, {"h", 3600e9}};
    if (*text < '0' || *text > '9')
        return -EINVAL;
    char *end;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0) {
            double ns = number * units[i].ns;
            if (!(ns < 1e18))
                return -EINVAL;
            *value = (uint64_t)llround(ns);
            return 0;
        }
    return -EINVAL;
}

const char *format_duration(uint64_t ns, char *text)
{
    uint64_t s = (ns + 500000000) / 1000000000;
    if (ns < 1000000000)
        snprintf(text, 32, "%llums", (unsigned long long)(ns / 1000000));
    else if (s < 60)
        snprintf(text, 32, "%llus", (unsigned long long)s);
    else if (s < 3600)
        snprintf(text, 32, "%llum%02llus", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    else
        snprintf(text, 32, "%lluh%02llum", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    return text;
}

const char *format_bytes(uint64_t bytes, char *text)
{
    static const char units[] = {'\0', 'k', 'm', 'g'};
    int unit = 0;
    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, 32, "%llu%.1s", (unsigned long long)bytes, unit ? &units[unit] : "");
    return text;
}
