#include "workloads/trace/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/*
 * The level is the fastest that packs at all: while a program is recorded, packing takes time from
 * it. Level 3 would save 3 to 20 % of the bytes in twice the time. A smaller table than the level's own,
 * which stays in the nearest cache, and longer matches save a tenth of the time and change the bytes by
 * 2 % one way or the other.
 */
enum { LEVEL = 1, HASH_LOG = 12, MATCH_MIN = 7 };

enum { WRITE_BACK_BYTES = 1 << 20 };

static int write_at(const struct block_file *f, const void *bytes, size_t count, uint64_t offset)
{
    while (count > 0) {
        ssize_t done = pwrite(f->fd, bytes, count, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        bytes = (const char *)bytes + done;
        count -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

static int write_end(const struct block_file *f, uint64_t offset)
{
    struct trace_block_header end = {.magic = TRACE_BLOCK_MAGIC};
    end.checksum = trace_block_checksum(&end);
    return write_at(f, &end, sizeof end, offset);
}

int block_file_rewrite_header(struct block_file *f, struct trace_file_header *header,
                              const char *command)
{
    memcpy(header->magic, TRACE_MAGIC, sizeof header->magic);
    header->version = TRACE_VERSION;
    header->header_bytes = (uint32_t)(sizeof *header + header->command_bytes + sizeof(uint64_t));
    uint64_t sum = trace_fnv(TRACE_FNV_BASIS, header, sizeof *header);
    sum = trace_fnv(sum, command, header->command_bytes);
    int error = write_at(f, header, sizeof *header, 0);
    if (error == 0)
        error = write_at(f, command, header->command_bytes, sizeof *header);
    return error != 0 ? error
                      : write_at(f, &sum, sizeof sum, sizeof *header + header->command_bytes);
}

static int begin(struct block_file *f, int fd, uint64_t offset)
{
    *f = (struct block_file){.fd = fd, .offset = offset, .zstd = ZSTD_createCCtx()};
    if (f->zstd == NULL)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_hashLog, HASH_LOG);
    ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_minMatch, MATCH_MIN);
    f->begun = offset;
    return 0;
}

int block_file_reopen(struct block_file *f, int fd, uint64_t offset)
{
    int error = begin(f, fd, offset);
    if (error == 0)
        error = write_end(f, offset);
    if (error == 0 && ftruncate(fd, (off_t)block_file_bytes(f)) != 0)
        error = -errno;
    if (error != 0)
        block_file_release(f);
    return error;
}

int block_file_open(struct block_file *f, int fd, const struct trace_file_header *header,
                    const char *command)
{
    struct trace_file_header first = *header;
    int error = begin(f, fd, 0);
    if (error == 0)
        error = block_file_rewrite_header(f, &first, command);
    f->offset = first.header_bytes;
    if (error == 0)
        error = write_end(f, f->offset);
    if (error != 0)
        block_file_release(f);
    return error;
}

void block_file_release(struct block_file *f)
{
    ZSTD_freeCCtx(f->zstd);
    free(f->content.bytes);
    free(f->sealed.bytes);
    free(f->packed.bytes);
    *f = (struct block_file){.fd = -1};
}

static int reserve(struct block_bytes *b, size_t wanted)
{
    if (wanted <= b->capacity)
        return 0;
    unsigned char *larger = realloc(b->bytes, wanted + wanted / 2);
    if (larger == NULL)
        return -ENOMEM;
    b->bytes = larger;
    b->capacity = wanted + wanted / 2;
    return 0;
}

int block_file_put(struct block_file *f, const void *bytes, size_t count)
{
    struct block_bytes *content = &f->content;
    if (reserve(content, content->used + count) != 0)
        return -ENOMEM;
    if (count > 0)
        memcpy(content->bytes + content->used, bytes, count);
    content->used += count;
    return 0;
}

void block_file_seal(struct block_file *f)
{
    struct block_bytes empty = f->sealed;
    empty.used = 0;
    f->sealed = f->content;
    f->content = empty;
}

/*
 * The disk is to begin with what there is, MiB by MiB: where a file takes another one's name, ext4 writes
 * it all out first, and the user would wait for that at the end. No harm where it cannot.
 */
static void begin_writing_back(struct block_file *f)
{
    if (f->offset - f->begun < WRITE_BACK_BYTES)
        return;
    sync_file_range(f->fd, (off_t)f->begun, (off_t)(f->offset - f->begun), SYNC_FILE_RANGE_WRITE);
    f->begun = f->offset;
}

/* On a full disk the bytes of the end block that was here are still ours. */
static int write_block(struct block_file *f, const struct trace_block_header *header)
{
    uint64_t frame = f->offset + sizeof *header, end = frame + header->packed_bytes;
    int error = write_at(f, header, sizeof *header, f->offset);
    if (error == 0)
        error = write_at(f, f->packed.bytes, header->packed_bytes, frame);
    if (error == 0)
        error = write_end(f, end);
    if (error == 0) {
        f->offset = end;
        begin_writing_back(f);
        return 0;
    }
    int restored = write_end(f, f->offset);
    if (restored == 0 && ftruncate(f->fd, (off_t)(f->offset + sizeof *header)) != 0)
        restored = -errno;
    if (restored != 0)
        error = restored;
    return error == -EFBIG ? -ENOSPC : error; /* a limit of the process's, not offset_max */
}

int block_file_write(struct block_file *f, struct trace_block_header *header, uint64_t offset_max)
{
    if (reserve(&f->packed, ZSTD_compressBound(f->sealed.used)) != 0)
        return -ENOMEM;
    size_t packed = ZSTD_compress2(f->zstd, f->packed.bytes, f->packed.capacity, f->sealed.bytes,
                                   f->sealed.used);
    if (ZSTD_isError(packed))
        return -ENOMEM;
    header->magic = TRACE_BLOCK_MAGIC;
    header->packed_bytes = (uint32_t)packed;
    header->frame_sum = trace_frame_sum(f->packed.bytes, packed);
    header->checksum = trace_block_checksum(header);
    if (offset_max != 0 && f->offset + sizeof *header + packed > offset_max)
        return -EFBIG;
    return write_block(f, header);
}

uint64_t block_file_bytes(const struct block_file *f)
{
    return f->offset + sizeof(struct trace_block_header);
}
