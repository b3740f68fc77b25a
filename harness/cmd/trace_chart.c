#include "cmd/trace_chart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 40, WIDTH_MAX = 200, ROWS = 6, LABEL_COLUMNS = 12 };

unsigned chart_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize window;
    long width = columns != NULL ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
        width = window.ws_col;
    if (width <= 0)
        width = 80;
    return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : (unsigned)width;
}

static bool is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

/* A Unicode character from U+0800 to U+FFFF. */
static void put_character(unsigned code)
{
    putchar((int)(0xe0 | code >> 12));
    putchar((int)(0x80 | (code >> 6 & 63)));
    putchar((int)(0x80 | (code & 63)));
}

/* ---- bars ------------------------------------------------------------------------------------ */

/* In eighths of a column; what is there at all is seen. */
void chart_bar(double share, unsigned width)
{
    bool blocks = is_utf8();
    unsigned eighths = (unsigned)(share * width * 8 + 0.5);
    if (eighths == 0 && share > 0)
        eighths = 1;
    for (; eighths >= 8; eighths -= 8)
        blocks ? put_character(0x2588) : (void)putchar('#');
    if (eighths > 0 && blocks)
        put_character(0x2590 - eighths);
    else if (eighths > 0)
        putchar(eighths >= 4 ? '#' : '.');
}

/* ---- units ----------------------------------------------------------------------------------- */

const char *chart_bytes(double bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

const char *chart_time(double ns, char *text)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    for (; ns >= 999.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        ns /= 1000;
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", ns, units[unit]);
    return text;
}

/* ---- the curve ------------------------------------------------------------------------------- */

/* The highest live bytes in one of `columns` equal parts of the curve. */
static uint64_t highest(const struct trace_curve *curve, unsigned column, unsigned columns)
{
    uint64_t most = 0;
    uint32_t first = (uint32_t)((uint64_t)column * curve->count / columns);
    uint32_t end = (uint32_t)((uint64_t)(column + 1) * curve->count / columns);
    for (uint32_t i = first; i < (end > first ? end : first + 1); i++)
        if (curve->bins[i].bytes_max > most)
            most = curve->bins[i].bytes_max;
    return most;
}

/* How many of `steps` are filled; something is not nothing. */
static unsigned level(uint64_t bytes, uint64_t peak, unsigned steps)
{
    unsigned filled = peak > 0 ? (unsigned)((double)bytes / (double)peak * steps + 0.5) : 0;
    return filled == 0 && bytes > 0 ? 1 : filled;
}

/* Braille cells are 2 dots wide and 4 high; the dots' bits, from the lowest row up. */
static void put_braille(const uint64_t *heights, uint64_t peak, unsigned row)
{
    static const unsigned dots[2][4] = {{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}};
    unsigned cell = 0;
    for (unsigned side = 0; side < 2; side++) {
        unsigned filled = level(heights[side], peak, ROWS * 4);
        for (unsigned dot = 0; dot < 4; dot++)
            if (filled > row * 4 + dot)
                cell |= dots[side][dot];
    }
    if (cell == 0)
        putchar(' ');
    else
        put_character(0x2800 + cell);
}

static void put_plain(uint64_t height, uint64_t peak, unsigned row)
{
    putchar(level(height, peak, ROWS) > row ? '#' : ' ');
}

static void put_row(const uint64_t *heights, unsigned columns, uint64_t peak, unsigned row)
{
    char label[32] = "";
    if (row + 1 == ROWS)
        chart_bytes((double)peak, label);
    printf("  %*s %s", LABEL_COLUMNS, row == 0 ? "0" : label, is_utf8() ? "\u2502" : "|");
    for (unsigned column = 0; column < columns; column++)
        if (is_utf8())
            put_braille(heights + 2 * column, peak, row);
        else
            put_plain(heights[2 * column], peak, row);
    putchar('\n');
}

void chart_curve(const struct trace_curve *curve, const char *lasts)
{
    uint64_t heights[2 * WIDTH_MAX], peak = 0;
    unsigned columns = chart_width() - LABEL_COLUMNS - 6;
    bool fine = is_utf8();
    for (unsigned i = 0; i < 2 * columns; i++) {
        heights[i] = fine ? highest(curve, i, 2 * columns) : highest(curve, i / 2, columns);
        if (heights[i] > peak)
            peak = heights[i];
    }
    for (unsigned row = ROWS; row-- > 0;)
        put_row(heights, columns, peak, row);
    printf("  %*s 0%*s\n", LABEL_COLUMNS, "", (int)columns, lasts);
}
