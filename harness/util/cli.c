#include "util/cli.h"

#include "util/nearest.h"
#include "util/pool.h"
#include "util/say.h"

#include <errno.h>
#include <string.h>

static struct strings known_names(const struct argp_option *options)
{
    struct strings names = {0};
    for (; options != NULL && (options->name || options->key || options->doc); options++)
        if (options->name != NULL)
            strings_add(&names, options->name);
    strings_add(&names, "help");
    strings_add(&names, "usage");
    return names;
}

static int is_known(const struct strings *names, const char *name)
{
    size_t beginnings = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return 1;
        beginnings += strncmp(names->items[i], name, strlen(name)) == 0;
    }
    return beginnings == 1;
}

int cli_check_options(int argc, char **argv, const struct argp_option *options)
{
    struct strings names = known_names(options);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        const char *name = pool_printf("%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
        if (is_known(&names, name))
            continue;
        say_error("unknown option '--%s'%s '%s --help' shows the options", name,
                  say_hint(nearest(name, names.items, names.count)), argv[0]);
        return -EINVAL;
    }
    return 0;
}

int cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    if (cli_check_options(argc, argv, argp->options) != 0)
        return 2;
    argp_err_exit_status = 2;
    return argp_parse(argp, argc, argv, 0, NULL, input) == 0 ? 0 : 2;
}
