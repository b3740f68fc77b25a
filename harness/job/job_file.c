/* Reads job files with libinih, and adds what it does not give: line numbers and strictness. */
#include "job/job_file.h"

#include "util/pool.h"
#include "util/say.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

struct reader {
    struct job *job;
    const char *label;
    FILE *stream;
    unsigned line; /* the handler is called while this line is the last one read */
    int failed;
    size_t first_section; /* sections before it came from earlier arguments */
    struct strings seen;  /* "section\nkey" of every key so far */
};

static const char *here(const struct reader *reader)
{
    return pool_printf("%s:%u", reader->label, reader->line);
}

static int fail(struct reader *reader)
{
    reader->failed = 1;
    return 0;
}

/* libinih asks for one line at a time; one that does not fit its buffer would be cut in two. */
static char *read_line(char *text, int bytes, void *user)
{
    struct reader *reader = user;
    if (reader->failed || fgets(text, bytes, reader->stream) == NULL)
        return NULL;
    reader->line++;
    if (strchr(text, '\n') == NULL && !feof(reader->stream)) {
        int next = fgetc(reader->stream);
        if (next != EOF) {
            say_error("%s: the line is longer than %d characters, or holds a NUL byte",
                      here(reader), bytes - 2);
            fail(reader);
            return NULL;
        }
    }
    if (text[strspn(text, " \t")] == '[' && strchr(text, ']') == NULL) {
        /* libinih would go on and blame the next line. */
        say_error("%s: the section's name has no closing ']'", here(reader));
        fail(reader);
        return NULL;
    }
    return text;
}

static struct section *find_section(struct reader *reader, const char *name)
{
    struct job *job = reader->job;
    if (strcmp(name, "global") == 0)
        return &job->global;
    for (size_t i = reader->first_section; i < job->section_count; i++)
        if (strcmp(job->sections[i].name, name) == 0)
            return &job->sections[i];
    return job_section_new(job, name, here(reader));
}

static int is_repeated(struct reader *reader, const char *section, const char *key)
{
    const char *both = pool_printf("%s\n%s", section, key);
    for (size_t i = 0; i < reader->seen.count; i++)
        if (strcmp(reader->seen.items[i], both) == 0)
            return 1;
    strings_add(&reader->seen, both);
    return 0;
}

static int handle(void *user, const char *section_name, const char *key, const char *value)
{
    struct reader *reader = user;
    const char *where = here(reader);
    if (*section_name == '\0') {
        say_error("%s: '%s' stands before any section; put it under [global]", where, key);
        return fail(reader);
    }
    if (is_repeated(reader, section_name, key)) {
        say_error("%s: '%s' is given twice in [%s]; a sweep is one comma list", where, key,
                  section_name);
        return fail(reader);
    }
    struct section *section = find_section(reader, section_name);
    const struct run_option *option = run_option_find(key);
    if (option == NULL) {
        if (section_set_param(section, key, value, where) != 0)
            return fail(reader);
        return 1;
    }
    if (option->scope == SCOPE_CALL) {
        say_error("%s: '%s' belongs on the command line (--%s), not in a job file", where, key,
                  key);
        return fail(reader);
    }
    if (option->scope == SCOPE_RUN && section != &reader->job->global) {
        say_error("%s: '%s' holds for the whole run; put it under [global]", where, key);
        return fail(reader);
    }
    if (section_set_option(section, option, value, where) != 0)
        return fail(reader);
    return 1;
}

int job_add_stream(struct job *job, FILE *stream, const char *label)
{
    struct reader reader = {.job = job,
                            .label = label,
                            .stream = stream,
                            .first_section = job->section_count};
    int line = ini_parse_stream(read_line, &reader, handle, &reader);
    if (reader.failed)
        return -EINVAL;
    if (line != 0) {
        say_error("%s:%d: this is neither [section] nor 'key = value' nor a ; comment", label,
                  line);
        return -EINVAL;
    }
    if (job->section_count == reader.first_section) {
        say_error("'%s' has no job: add a section such as [pair] with 'workload = pair'", label);
        return -EINVAL;
    }
    return 0;
}
