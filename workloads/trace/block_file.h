/*
 * The file that a trace is written to, block by block. After each block the file is whole: the end
 * block stands behind it, and makes room for the next one. So whatever happens to the writer, what
 * it wrote is a trace. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_BLOCK_FILE_H
#define HEAPMARK_TRACE_BLOCK_FILE_H

#include "workloads/trace/format.h"

struct block_bytes {
    unsigned char *bytes;
    size_t used, capacity;
};

struct block_file {
    int fd;          /* the caller's */
    uint64_t offset; /* of the end block, which the next block replaces */
    uint64_t begun;  /* up to where the disk has been asked to write */
    struct ZSTD_CCtx_s *zstd;
    struct block_bytes content; /* of the block to come */
    struct block_bytes sealed;  /* of the one that is being packed */
    struct block_bytes packed;
};

/* Begins an empty trace in `fd`, a seekable file. 0, -ENOMEM, or -errno of the file. */
int block_file_open(struct block_file *file, int fd, const struct trace_file_header *header,
                    const char *command);

/*
 * Goes on with a trace that is whole up to `offset`; what stands behind goes. 0, -ENOMEM, or -errno of
 * the file.
 */
int block_file_reopen(struct block_file *file, int fd, uint64_t offset);

/* Adds to the content of the block to come. 0 or -ENOMEM. */
int block_file_put(struct block_file *file, const void *bytes, size_t count);

/* What was put is a block, and what is put from here on belongs to the next one. */
void block_file_seal(struct block_file *file);

/*
 * Packs what was sealed and writes it as a block; `header` gives events, columns and times. `offset_max`
 * bounds the file, the end block not counted; 0: nothing does. 0; -ENOMEM; -EFBIG above offset_max;
 * -errno of the file. After an error the file is what it was before, and the same may be tried again.
 * Another thread may put what comes next meanwhile.
 */
int block_file_write(struct block_file *file, struct trace_block_header *header,
                     uint64_t offset_max);

/* Replaces the header; `command` is as long as it was. 0 or -errno. */
int block_file_rewrite_header(struct block_file *file, struct trace_file_header *header,
                              const char *command);

/* The file's size. */
uint64_t block_file_bytes(const struct block_file *file);

void block_file_release(struct block_file *file);

#endif
