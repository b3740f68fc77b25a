#include "workloads/trace/drain_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A program that is at fault may have written there. */
static bool is_sound(const struct raw_command *command)
{
    return command->bytes <= sizeof command->words &&
           (command->bytes == 0 || command->words[command->bytes - 1] == '\0');
}

int drain_command_take(struct source *source, struct raw_segment *segment)
{
    segment->seen = 1;
    if (source->command != NULL)
        return 0;
    struct raw_command *command = malloc(sizeof *command);
    if (command == NULL)
        return -ENOMEM;
    *command = *raw_command(segment);
    if (!is_sound(command))
        command->bytes = 0;
    source->command = command;
    return 0;
}

/* What the first process becomes by exec() is run anew by the command that began it, a wrapper and all. */
static bool is_of_first(const struct drain *d, const struct raw_process *process)
{
    struct identity own = raw_process_identity(process);
    return identity_equals(&d->header->first, &own);
}

struct command drain_command(const struct drain *d, const struct source *source)
{
    if (is_of_first(d, source->process))
        return (struct command){d->header->command, d->header->command_bytes};
    if (source->command == NULL)
        return (struct command){"", 0};
    return (struct command){source->command->words, source->command->bytes};
}

void drain_command_wipe(struct raw_segment *segment)
{
    memset(raw_command(segment), 0, sizeof *raw_command(segment));
}
