#include "util/say.h"

#include <stdarg.h>

static FILE *other;
static int is_redirected;

void say_to(FILE *stream)
{
    other = stream;
    is_redirected = 1;
}

static void say(const char *format, va_list arguments)
{
    FILE *stream = is_redirected ? other : stderr;
    if (stream == NULL)
        return;
    flockfile(stream);
    fputs("heapmark: ", stream);
    vfprintf(stream, format, arguments);
    fputc('\n', stream);
    funlockfile(stream);
}

void say_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void say_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

const char *say_choices(const char *const *names, size_t count)
{
    static _Thread_local char text[256];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof text; i++) {
        const char *before = i == 0 ? "" : i + 1 < count ? ", " : " or ";
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", before, names[i]);
    }
    return text;
}

const char *say_did_you_mean(const char *candidate)
{
    static _Thread_local char text[128];
    text[0] = '\0';
    if (candidate != NULL)
        snprintf(text, sizeof text, "; did you mean '%s'?", candidate);
    return text;
}

const char *say_hint(const char *candidate)
{
    return candidate != NULL ? say_did_you_mean(candidate) : ";";
}
