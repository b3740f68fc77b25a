#include "results/csv_read.h"

size_t csv_record(char *text, char *end, char **fields, size_t capacity, char **next)
{
    size_t count = 0;
    char *in = text;
    for (;;) {
        char *out = in, *field = in;
        int quoted = in < end && *in == '"';
        in += quoted;
        for (; in < end; in++) {
            if (quoted && *in == '"') {
                if (in + 1 < end && in[1] == '"')
                    in++; /* a doubled quote is one */
                else {
                    quoted = 0;
                    continue;
                }
            } else if (!quoted && (*in == ',' || *in == '\n' || *in == '\r')) {
                break;
            }
            *out++ = *in;
        }
        if (in >= end)
            return 0;
        char stop = *in++;
        *out = '\0';
        if (count < capacity)
            fields[count++] = field;
        if (stop == ',')
            continue;
        if (stop == '\r') {
            if (in >= end || *in != '\n')
                return 0;
            in++;
        }
        *next = in;
        return count;
    }
}
