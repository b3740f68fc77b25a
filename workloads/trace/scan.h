/* Reading pieces of a line of text from the front. Each leaves *at alone when it fails. */
#ifndef HEAPMARK_TRACE_SCAN_H
#define HEAPMARK_TRACE_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline void scan_blanks(const char **at)
{
    while (**at == ' ' || **at == '\t')
        ++*at;
}

/* Exactly this text. */
static inline bool scan_text(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

static inline int scan_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* Digits of the base, 10 or 16, that fit into 64 bits. */
static inline bool scan_digits(const char **at, unsigned base, uint64_t *value)
{
    const char *p = *at;
    uint64_t result = 0;
    for (; scan_digit(*p) < (int)base; p++)
        if (__builtin_mul_overflow(result, base, &result) ||
            __builtin_add_overflow(result, (uint64_t)scan_digit(*p), &result))
            return false;
    if (p == *at)
        return false;
    *at = p;
    *value = result;
    return true;
}

static inline bool scan_decimal(const char **at, uint64_t *value)
{
    return scan_digits(at, 10, value);
}

/* With or without 0x. */
static inline bool scan_hex(const char **at, uint64_t *value)
{
    const char *p = *at;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        p += 2;
    if (!scan_digits(&p, 16, value))
        return false;
    *at = p;
    return true;
}

/* Hexadecimal with 0x, else decimal. */
static inline bool scan_number(const char **at, uint64_t *value)
{
    return (*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X') ? scan_hex(at, value)
                                                                   : scan_decimal(at, value);
}

/* "12.345678", as so many units of a second; further digits are left out. */
static inline bool scan_seconds(const char **at, uint64_t *ns)
{
    const char *p = *at;
    uint64_t whole, unit = 100000000;
    if (!scan_decimal(&p, &whole) || whole > UINT64_MAX / 2000000000u || *p != '.' ||
        scan_digit(p[1]) > 9)
        return false;
    *ns = whole * 1000000000u;
    for (p++; scan_digit(*p) < 10; p++, unit /= 10)
        *ns += (uint64_t)scan_digit(*p) * unit;
    *at = p;
    return true;
}

/* Nothing but blanks to the end. */
static inline bool scan_end(const char **at)
{
    scan_blanks(at);
    return **at == '\0';
}

#endif
