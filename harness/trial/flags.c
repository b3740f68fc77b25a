/* Words for the row's `flags` column: the workload's own, and the allocator's. */
#include "trial/trial.h"

#include <dlfcn.h>

static bool holds_word(const char *flags, const char *word, size_t length)
{
    while (*flags != '\0') {
        size_t span = strcspn(flags, " ");
        if (span == length && memcmp(flags, word, length) == 0)
            return true;
        flags += span + (flags[span] == ' ');
    }
    return false;
}

static void add_word(char *flags, const char *word, size_t length)
{
    size_t used = strlen(flags), space = used > 0;
    if (length == 0 || used + space + length >= TRIAL_FLAGS_MAX || holds_word(flags, word, length))
        return;
    if (space)
        flags[used++] = ' ';
    memcpy(flags + used, word, length);
    flags[used + length] = '\0';
}

void trial_flag(struct trial *trial, const char *word)
{
    add_word(trial->result->flags, word, strcspn(word, " "));
}

void flags_from_allocator(struct trial *trial)
{
    const char *(*ask)(void) =
        (const char *(*)(void))dlsym(RTLD_DEFAULT, "heapmark_allocator_flags");
    const char *words = ask != NULL ? ask() : NULL;
    while (words != NULL && *words != '\0') {
        size_t span = strcspn(words, " ");
        add_word(trial->result->flags, words, span);
        words += span + (words[span] == ' ');
    }
}
