/* What an errno means, in lower case, as it stands in a message. Header only, any layer. */
#ifndef HEAPMARK_UTIL_ERRNO_TEXT_H
#define HEAPMARK_UTIL_ERRNO_TEXT_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "no such file or directory". The answer lives until the next call; allocates nothing. */
static inline const char *errno_text(int error)
{
    static _Thread_local char text[80];
    const char *known = strerrordesc_np(error);
    snprintf(text, sizeof text, "%s", known != NULL ? known : "unknown error");
    if (isupper((unsigned char)text[0]) && !isupper((unsigned char)text[1])) /* not "RFS ..." */
        text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

#endif
