#include "allocators/registry.h"

#include <stddef.h>
#include <string.h>

#define ALLOCATOR(name) extern const struct allocator allocator_##name;
#include "allocators/list.def"
#undef ALLOCATOR

const struct allocator *const allocators[] = {
#define ALLOCATOR(name) &allocator_##name,
#include "allocators/list.def"
#undef ALLOCATOR
    NULL,
};

const struct allocator *allocator_find(const char *name)
{
    for (size_t i = 0; allocators[i] != NULL; i++)
        if (strcmp(allocators[i]->name, name) == 0)
            return allocators[i];
    return NULL;
}
