#include "util/say.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const char *format, va_list arguments)
{
    flockfile(stderr);
    fputs("heapmark: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
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
