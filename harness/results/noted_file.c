#include "results/noted_file.h"

#include "results/machine.h"

#include <string.h>

enum noted_file noted_file(const json_t *list, const char *key, const char *name, const char *path)
{
    size_t index;
    json_t *entry;
    json_array_foreach (list, index, entry) {
        const char *noted = json_string_value(json_object_get(entry, key));
        if (noted == NULL || strcmp(noted, name) != 0)
            continue;
        const char *old = json_string_value(json_object_get(entry, "sha256"));
        const char *new = machine_sha256(path);
        return old != NULL && new != NULL &&strcmp(old, new) == 0 ? FILE_UNCHANGED : FILE_CHANGED;
    }
    return FILE_NOT_NOTED;
}
