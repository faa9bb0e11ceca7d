/* IDX files (the format of MNIST and Fashion-MNIST), plain or gzip: a magic number with the type
 * and the number of dimensions, the sizes, the bytes. Only unsigned bytes. The file is not trusted:
 * every size is bounded before it is used. The only includer of zlib.h. One thread per open file.
 */
#ifndef TRAINER_DATA_IDX_H
#define TRAINER_DATA_IDX_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define IDX_MAX_SIDE  4096
#define IDX_MAX_COUNT 1000000000u

struct idx {
    void *own;
    char *path;
    int rank; /* 1: labels; 3: (N,H,W); 4: (N,H,W,C) with C 1 or 3 */
    uint32_t count;
    int H, W, C;       /* 1, 1, 1 for labels */
    size_t item_bytes; /* H * W * C */
    uint32_t next;     /* item that idx_read() gives */
};

/* ERR_DATA names the file and what is wrong with its header, or that it is no regular file;
 * ERR_NOT_FOUND, ERR_IO. */
MUST_CHECK enum err idx_open(const char *path, struct idx *idx);
void idx_close(struct idx *idx); /* accepts a zeroed one */
/* The next item, and after the last one a check that the file ends there. ERR_DATA: cut short,
 * damaged, or longer than it says. */
MUST_CHECK enum err idx_read(struct idx *idx, uint8_t *item);

#endif
