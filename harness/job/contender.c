#include "job/contender.h"

#include "allocators/registry.h"
#include "job/knob.h"
#include "util/elf_check.h"
#include "util/errno_text.h"
#include "util/nearest.h"
#include "util/paths.h"
#include "util/say.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- finding files --------------------------------------------------------------------------- */

static const char *real_file(const char *path)
{
    char resolved[PATH_MAX];
    return realpath(path, resolved) != NULL ? pool_strdup(resolved) : NULL;
}

/* The last match, so that the newest of several versions wins. */
static const char *find_glob(const char *pattern)
{
    glob_t matches;
    const char *found = NULL;
    if (glob(pattern, 0, NULL, &matches) == 0 && matches.gl_pathc > 0)
        found = real_file(matches.gl_pathv[matches.gl_pathc - 1]);
    globfree(&matches);
    return found;
}

/* A library by its name, in the directories that the dynamic linker searches. */
static const char *find_soname(const char *name)
{
    static const char *const more[] = {"/usr/local/lib", "/usr/local/lib/x86_64-linux-gnu"};
    const char *found = NULL;
    Dl_serinfo size, *info = NULL;
    void *self = dlopen(NULL, RTLD_LAZY);
    if (self != NULL && dlinfo(self, RTLD_DI_SERINFOSIZE, &size) == 0) {
        info = pool_alloc(size.dls_size);
        *info = size;
        if (dlinfo(self, RTLD_DI_SERINFO, info) != 0)
            info = NULL;
    }
    for (unsigned i = 0; info != NULL && found == NULL && i < info->dls_cnt; i++)
        found = real_file(pool_printf("%s/%s", info->dls_serpath[i].dls_name, name));
    for (size_t i = 0; found == NULL && i < sizeof more / sizeof more[0]; i++)
        found = real_file(pool_printf("%s/%s", more[i], name));
    if (self != NULL)
        dlclose(self);
    return found;
}

static int match_libc(struct dl_phdr_info *info, size_t bytes, void *result)
{
    (void)bytes;
    const char *base = strrchr(info->dlpi_name, '/');
    if (base == NULL || strncmp(base, "/libc.so", 8) != 0)
        return 0;
    *(const char **)result = real_file(info->dlpi_name);
    return 1;
}

const char *contender_installed_path(const struct allocator *allocator)
{
    const char *found = NULL;
    if (allocator->libraries == NULL) {
        dl_iterate_phdr(match_libc, &found);
        return found;
    }
    for (const char *const *library = allocator->libraries; *library && !found; library++) {
        char path[PATH_MAX];
        if (strchr(*library, '/') != NULL)
            found = find_glob(*library);
        else if (strncmp(*library, "libhm_", 6) == 0)
            found = paths_library(*library, path, sizeof path) == 0 ? pool_strdup(path) : NULL;
        else
            found = find_soname(*library);
    }
    return found;
}

static int identify(struct contender *c, const char *where)
{
    struct stat file;
    if (stat(c->path, &file) != 0) {
        say_error("%scannot use '%s': %s", where, c->path, errno_text(errno));
        return -EINVAL;
    }
    c->dev = file.st_dev;
    c->ino = file.st_ino;
    return 0;
}

/* ---- knobs ----------------------------------------------------------------------------------- */

/* Replaces {name}, {NAME} and {value} in a piece of a template. */
static const char *expand(const char *piece, const char *name, const char *value)
{
    const char *text = "";
    while (*piece != '\0') {
        if (strncmp(piece, "{name}", 6) == 0) {
            text = pool_printf("%s%s", text, name);
            piece += 6;
        } else if (strncmp(piece, "{NAME}", 6) == 0) {
            char *upper = pool_strdup(name);
            for (char *c = upper; *c; c++)
                *c = (char)toupper((unsigned char)*c);
            text = pool_printf("%s%s", text, upper);
            piece += 6;
        } else if (strncmp(piece, "{value}", 7) == 0) {
            text = pool_printf("%s%s", text, value);
            piece += 7;
        } else {
            text = pool_printf("%s%c", text, *piece++);
        }
    }
    return text;
}

static int refuse_knob(const struct allocator *a, const char *name, const char *where)
{
    struct strings names = {0};
    for (const struct allocator_knob *knob = a->knobs; knob->name != NULL; knob++)
        strings_add(&names, knob->name);
    say_error("%sallocator '%s' has no knob '%s'%s its knobs: %s", where, a->name, name,
              say_hint(nearest(name, names.items, names.count)), strings_join(&names, ", "));
    return -EINVAL;
}

/* What a library ignores would be measured as its default, under the variant's name. */
static int check_knob(const struct allocator *a, const char *name, const char *value,
                      const char *where)
{
    const struct allocator_knob *knob = knob_find(a, name);
    if (knob == NULL)
        return refuse_knob(a, name, where);
    if (knob_takes(knob, value))
        return 0;
    say_error("%sknob '%s' of '%s' cannot be '%s'; expected %s", where, name, a->name, value,
              knob_expects(knob));
    return -EINVAL;
}

/* See allocator.h for the two shapes of a template. */
static int add_knobs(struct contender *c, const char *knobs, const char *where)
{
    const struct allocator *a = c->descriptor;
    if (a == NULL || a->knob_template == NULL || a->knobs == NULL) {
        say_error("%s'%s' takes no knobs", where, c->allocator);
        return -EINVAL;
    }
    const char *equals = strchr(a->knob_template, '=');
    const char *variable = pool_printf("%.*s", (int)(equals - a->knob_template), a->knob_template);
    int one_each = strstr(variable, "{NAME}") != NULL;
    size_t item_length = strlen(equals + 1) - (one_each ? 0 : 1);
    const char *item = pool_printf("%.*s", (int)item_length, equals + 1);
    const char separator[2] = {one_each ? '\0' : a->knob_template[strlen(a->knob_template) - 1], 0};

    struct strings list = strings_split(knobs, ':'), items = {0};
    for (size_t i = 0; i < list.count; i++) {
        const char *assign = strchr(list.items[i], '=');
        if (assign == NULL || assign == list.items[i]) {
            say_error("%sknob '%s' of '%s' is not KNOB=VALUE", where, list.items[i], a->name);
            return -EINVAL;
        }
        const char *name = pool_printf("%.*s", (int)(assign - list.items[i]), list.items[i]);
        if (check_knob(a, name, assign + 1, where) != 0)
            return -EINVAL;
        const char *text = expand(item, name, assign + 1);
        if (one_each)
            strings_add(&c->environment, pool_printf("%s=%s", expand(variable, name, ""), text));
        else
            strings_add(&items, text);
    }
    if (!one_each)
        strings_add(&c->environment,
                    pool_printf("%s=%s", variable, strings_join(&items, separator)));
    return 0;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static int find_path(const char *argument, const char *where, struct contender *c)
{
    char reason[256];
    c->path = real_file(argument);
    c->is_preloaded = true;
    if (c->path == NULL) {
        say_error("%scannot open allocator '%s': %s", where, argument, errno_text(errno));
        return -EINVAL;
    }
    if (strpbrk(c->path, " :") != NULL) {
        say_error("%sallocator path '%s' has a space or colon, at which LD_PRELOAD splits; link or "
                  "copy it to another name",
                  where, c->path);
        return -EINVAL;
    }
    if (elf_check_allocator(c->path, reason, sizeof reason) != 0) {
        say_error("%sallocator '%s' %s", where, argument, reason);
        return -EINVAL;
    }
    return identify(c, where);
}

static int find_named(const char *name, const char *where, struct contender *c)
{
    struct strings names = {0};
    c->descriptor = allocator_find(name);
    for (size_t i = 0; allocators[i] != NULL; i++)
        strings_add(&names, allocators[i]->name);
    if (c->descriptor == NULL) {
        say_error("%sunknown allocator '%s'%s 'heapmark list allocators' shows what there is; a "
                  "path "
                  "to a shared object needs a '/'",
                  where, name, say_hint(nearest(name, names.items, names.count)));
        return -EINVAL;
    }
    c->path = contender_installed_path(c->descriptor);
    c->is_preloaded = c->descriptor->libraries != NULL;
    if (c->path == NULL) {
        const char *package = c->descriptor->package;
        say_error("%sallocator '%s' is not installed; %s", where, name,
                  package ? pool_printf("run 'apt-get install %s'", package)
                          : "build and install heapmark's libraries");
        return -EINVAL;
    }
    return identify(c, where);
}

int contender_find(const char *argument, const char *where, struct contender *c)
{
    *c = (struct contender){.label = pool_strdup(argument), .variant = ""};
    if (strchr(argument, '/') != NULL && strchr(argument, '=') == NULL) {
        c->allocator = c->label;
        return find_path(argument, where, c);
    }
    const char *colon = strchr(argument, ':');
    c->allocator = colon ? pool_printf("%.*s", (int)(colon - argument), argument) : c->label;
    if (strchr(c->allocator, '/') != NULL)
        return add_knobs(c, "", where);
    if (find_named(c->allocator, where, c) != 0)
        return -EINVAL;
    const char *preset = c->descriptor->preset;
    c->variant = colon ? colon + 1 : "";
    if (colon == NULL && preset == NULL)
        return 0;
    return add_knobs(c,
                     pool_printf("%s%s%s", preset ? preset : "", preset && colon ? ":" : "",
                                 c->variant),
                     where);
}

const char *contender_version(const struct contender *c)
{
    if (c->descriptor == NULL || c->descriptor->package == NULL)
        return NULL;
    char version[128] = "";
    FILE *pipe =
        popen(pool_printf("dpkg-query -W -f '${Version}' %s 2>/dev/null", c->descriptor->package),
              "re");
    if (pipe == NULL)
        return NULL;
    char *line = fgets(version, sizeof version, pipe);
    pclose(pipe);
    if (line == NULL)
        return NULL;
    version[strcspn(version, "\n")] = '\0';
    return pool_strdup(version);
}
