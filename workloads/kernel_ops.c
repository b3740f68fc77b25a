#include "workloads/kernel_ops.h"

#include <dlfcn.h>

static const struct {
    const char *name;
    unsigned part;
    size_t offset;
} names[] = {
#define X(part, name) {#name, part, offsetof(struct kernel_ops, name)},
    KERNEL_OPS(X)
#undef X
};

const struct kernel_ops *kernel_ops_find(struct trial *trial, unsigned parts)
{
    static struct kernel_ops ops;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *function = names[i].part & parts ? dlsym(RTLD_DEFAULT, names[i].name) : NULL;
        if (names[i].part & parts && function == NULL) {
            trial_flag(trial, "adapter");
            return NULL;
        }
        memcpy((char *)&ops + names[i].offset, &function, sizeof function);
    }
    return &ops;
}
