#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

#include "uncancelled.h"

void out_flush(struct out *o)
{
    int saved = errno;

    if (o->stream) {
        fwrite(o->text, 1, o->used, o->stream);
    } else {
        for (size_t done = 0; done < o->used;) {
            ssize_t n = uncancelled_write(o->fd, o->text + done, o->used - done);

            if (n < 0 && errno != EINTR)
                break;
            if (n > 0)
                done += (size_t)n;
        }
    }
    o->used = 0;
    errno = saved;
}

static void out_char(struct out *o, char c)
{
    if (o->used == sizeof o->text)
        out_flush(o);
    o->text[o->used++] = c;
}

static void out_string(struct out *o, const char *s)
{
    while (*s)
        out_char(o, *s++);
}

static void out_number(struct out *o, uintptr_t value, unsigned base, int width)
{
    char digits[24];
    int n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    for (int i = n; i < width; i++)
        out_char(o, ' ');
    while (n > 0)
        out_char(o, digits[--n]);
}

void out_put(struct out *o, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            out_char(o, *format);
            continue;
        }
        switch (*++format) {
        case 's': out_string(o, va_arg(args, const char *)); break;
        case 'u': out_number(o, va_arg(args, size_t), 10, 0); break;
        case 'U': out_number(o, va_arg(args, size_t), 10, 10); break;
        case 'p':
            out_string(o, "0x");
            out_number(o, (uintptr_t)va_arg(args, void *), 16, 0);
            break;
        }
    }
    va_end(args);
}
