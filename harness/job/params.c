#include "job/params.h"

#include "util/parse.h"

#include <errno.h>
#include <stdio.h>

size_t workload_option_count(const struct workload *workload)
{
    size_t count = 0;
    if (workload->options != NULL)
        while (workload->options[count].name != NULL)
            count++;
    return count;
}

const struct workload_option *workload_option_find(const struct workload *workload,
                                                   const char *name)
{
    for (size_t i = 0; i < workload_option_count(workload); i++)
        if (strcmp(workload->options[i].name, name) == 0)
            return &workload->options[i];
    return NULL;
}

const struct workload_option *workload_trace_option(const struct workload *workload)
{
    for (size_t i = 0; i < workload_option_count(workload); i++)
        if (workload->options[i].type == OPTION_TRACE)
            return &workload->options[i];
    return NULL;
}

static int parse_choice(const struct workload_option *option, const char *text, uint64_t *value,
                        char *expected, size_t bytes)
{
    size_t used = (size_t)snprintf(expected, bytes, "one of");
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0)
            return *value = i, 0;
        if (used < bytes)
            used += (size_t)snprintf(expected + used, bytes - used, "%s %s", i ? "," : "",
                                     option->choices[i]);
    }
    return -EINVAL;
}

int workload_option_parse(const struct workload_option *option, const char *text, uint64_t *value,
                          char *expected, size_t bytes)
{
    char low[32], high[32];
    *value = 0;
    switch (option->type) {
    case OPTION_CHOICE: return parse_choice(option, text, value, expected, bytes);
    case OPTION_TRACE:
        snprintf(expected, bytes, "the name of a trace or the path of a .hmt file");
        return *text != '\0' ? 0 : -EINVAL;
    case OPTION_COUNT:
        snprintf(expected, bytes, "a whole number from %llu to %llu",
                 (unsigned long long)option->min, (unsigned long long)option->max);
        if (parse_count(text, value) != 0)
            return -EINVAL;
        break;
    case OPTION_BYTES:
        snprintf(expected, bytes, "a size from %s to %s", format_bytes(option->min, low),
                 format_bytes(option->max, high));
        if (parse_bytes(text, value) != 0)
            return -EINVAL;
        break;
    }
    return *value >= option->min && *value <= option->max ? 0 : -EINVAL;
}
