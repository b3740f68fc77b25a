/*
 * Disk space for segments, taken ahead of their use. A page of a file costs several times as much to make
 * where the file system must look for its block at that moment as where the file has it already.
 */
#ifndef HEAPMARK_TRACE_RECORDING_SPACE_H
#define HEAPMARK_TRACE_RECORDING_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct raw_header;

struct space {
    int raw_fd;
    uint64_t end;  /* of what the raw file has; UINT64_MAX: none is to be had */
    uint64_t made; /* up to here its pages are made */
};

/*
 * How many bytes of the raw file may wait for the drain or lie ready: small parts of the memory, since they are
 * dirty page cache, and of the disk, on which traces and programs need room, and what the traces may have at
 * all (`size_max`; 0: no limit). Anew each time: others fill the disk meanwhile. Any thread.
 */
uint64_t space_bytes_max(int raw_fd, uint64_t size_max);

/*
 * For the first segments, of a file that ends where they begin, and does so again where there is none. Before
 * anybody else has the file.
 */
void space_begin(struct space *space, int raw_fd, uint64_t size_max);

/*
 * Some more, when less than half of what there should be is left. Never an error: it is only quicker. Once the
 * file system refuses it is not asked again.
 */
void space_keep_ahead(struct space *space, struct raw_header *header);

/* Tells the programs how much there is: before the first of them runs; later it is told with each change. */
void space_announce(const struct space *space, struct raw_header *header);

/* Makes the next of its pages, which the program would have to make otherwise: where there is a CPU for that. */
void space_make_pages(struct space *space, struct raw_header *header);

/*
 * Takes pages out of the mapped raw file. Those beside them that share a dirty folio with them are written out first: else ext4
 * wants blocks for all of the folio when they are written next, and on a full disk that is a SIGBUS. A clean one is divided.
 */
void space_remove(char *start, uint64_t bytes);

/* Gives back all that lies so far beyond the segments that were carved off: nobody may write there. */
void space_release(struct raw_header *header, uint64_t keep_bytes);

#endif
