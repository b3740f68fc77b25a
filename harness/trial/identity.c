/*
 * Whose malloc is it really? The dynamic linker ignores a preload that fails with no more than a
 * line on stderr; a benchmark that does not look then measures glibc under another name.
 */
#include "trial/trial.h"

#include <dlfcn.h>
#include <sys/stat.h>

/* The file that holds `function`, or NULL. */
static const char *owner(void *function)
{
    Dl_info info;
    return function != NULL && dladdr(function, &info) != 0 ? info.dli_fname : NULL;
}

static bool is_expected_file(const struct trial_spec *spec, const char *path)
{
    struct stat file;
    return path != NULL && stat(path, &file) == 0 && file.st_dev == spec->allocator_dev &&
           file.st_ino == spec->allocator_ino;
}

void identity_check(struct trial *trial)
{
    static const char *const family[] = {"malloc", "free", "calloc", "realloc"};
    for (size_t i = 0; i < sizeof family / sizeof family[0]; i++) {
        const char *path = owner(dlsym(RTLD_DEFAULT, family[i]));
        if (!is_expected_file(trial->spec, path))
            trial_fail(trial, TRIAL_PRELOAD_FAILED, "%s came from '%s'", family[i],
                       path ? path : "an unknown place");
    }
}
