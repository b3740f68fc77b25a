#include "cmd/record_missing.h"

#include "util/say.h"
#include "workloads/trace/commit.h"

static const char *why_lost(uint32_t why, bool raw_away)
{
    switch (why) {
    case RAW_LOST_REACH:
        return raw_away ? ": the recording's '.raw' file was deleted or moved while it was written"
                        : ": with its rights or its root it reaches the recorder's library or the "
                          "recording no more";
    case RAW_LOST_ROOM: return ": its environment leaves no room for the recorder's variables";
    default: return "";
    }
}

/* They may not even say who they are. */
static void tell_left_out(const struct raw_header *raw)
{
    if (raw->left_out > 0)
        say_note("%u process%s forked by one that had confined itself (seccomp), and %s not "
                 "recorded",
                 raw->left_out, raw->left_out == 1 ? " was" : "es were",
                 raw->left_out == 1 ? "is" : "are");
}

/* Those that began to be recorded, and could not. Of the only one it is said why nothing was recorded. */
static void tell_forbidden(struct raw_header *raw)
{
    uint32_t count = 0;
    if (raw->processes == 1)
        return;
    for (uint32_t i = 0; i < RAW_PROCESSES_MAX && i < raw->processes; i++) {
        const struct raw_process *process = raw_process(raw, i);
        if (!(process->flags & (RAW_FORBIDDEN | RAW_SHUT)) || commit_tally(process)->entries > 0)
            continue;
        if (count++ < RAW_LOST_MAX)
            say_note("process %u has no trace: it %s", process->pid,
                     process->flags & RAW_SHUT ? RECORD_SHUTS : RECORD_FORBIDS);
    }
    if (count > RAW_LOST_MAX)
        say_note("and %u more have none for such reasons", count - RAW_LOST_MAX);
}

void record_tell_missing(struct raw_header *raw, bool raw_away)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < RAW_LOST_MAX; i++) {
        if (raw->lost[i].pid == 0)
            continue;
        say_note("process %u became '%.*s', which cannot be recorded%s", raw->lost[i].pid,
                 RAW_LOST_PATH_BYTES - 1, raw->lost[i].path, why_lost(raw->lost[i].why, raw_away));
        told++;
    }
    if (raw->lost_count > told)
        say_note("and %u more became programs that cannot be recorded", raw->lost_count - told);
    if (raw->refused > 0)
        say_note("%u processes are not recorded: one recording holds %u", raw->refused,
                 RAW_PROCESSES_MAX);
    tell_forbidden(raw);
    tell_left_out(raw);
}
