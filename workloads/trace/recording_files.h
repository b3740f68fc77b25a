/*
 * The files of a recording: the raw one, one for each trace while it is made, and their names.
 *
 *   app.hmt.raw      locked while the recording goes on; left behind when it is killed
 *   app.hmt.0.part   the trace of the raw file's process 0, and so on
 *   app.hmt          the first process; app.PID.hmt the others; app.PID.2.hmt what one exec()ed
 */
#ifndef HEAPMARK_TRACE_RECORDING_FILES_H
#define HEAPMARK_TRACE_RECORDING_FILES_H

#include "workloads/trace/recording.h"

#include <fcntl.h>

/* Takes up a raw file that was left behind. 0 or -errno, as recording_recover(). */
int recording_files_reopen(struct recording *recording, const char *raw_path, char *error,
                           size_t error_bytes);

/* Finishes the trace of a process and puts it in its place. 0 or -errno. */
int recording_files_finish(struct recording *recording, uint32_t process, int status);

void recording_files_release(struct recording *recording);

/* Fills in the error's sentence; returns `error`. */
int recording_fail(struct recording *recording, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
