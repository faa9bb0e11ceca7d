/* Picture files without compression: what lies behind the header is rows of pixels. A reader a
 * format takes its header apart (PNM, BMP, and files that have none), one function for all turns
 * the pixels into samples. Nothing a header says is believed before it is held against the file.
 * Pure; any thread may call. */
#ifndef TRAINER_DATA_RASTER_H
#define TRAINER_DATA_RASTER_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raster {
    int H, W;              /* as the header says: 0 or more, however many */
    int C;                 /* of the samples: 1 or 3 */
    int bits;              /* 8: samples are bytes; 9..16: words, of which so many low bits count */
    const uint8_t *pixels; /* borrowed from the file: its rest from the first pixel on... */
    size_t size_bytes;     /* ...which may be less than the header promises */
    size_t row_bytes, pixel_bytes; /* in the file; rows may be padded */
    bool is_bottom_up, is_blue_first, is_big_endian;
    const uint8_t *palette; /* (palette_count) blue, green, red and a byte unused; NULL: none */
    int palette_count;
};

/* The openers. ERR_DATA: a damaged header; ERR_UNAVAILABLE: a kind of the format that is not read.
 * The texts are reasons without the path. *raster borrows `bytes`. */

/* P5 and P6. The greatest value is 2^n - 1, n from 8 to 16. */
MUST_CHECK enum err pnm_open(const uint8_t *bytes, size_t size_bytes, struct raster *raster);
/* 8 bits with a palette (C is 1 where all its colours are grey), 24 and 32 bits (the fourth byte is
 * not looked at), rows from the bottom or the top. */
MUST_CHECK enum err bmp_open(const uint8_t *bytes, size_t size_bytes, struct raster *raster);
bool bmp_is(const uint8_t *bytes, size_t size_bytes); /* "BM" alone begins many a text */
/* Nothing but pixels of one channel: W * H bytes, or as many words, the low byte first. */
MUST_CHECK enum err raw_open(const uint8_t *bytes, size_t size_bytes, int W, int H,
                             struct raster *raster);

/* samples: (H,W,C), u8 or, of more than 8 bits, u16. H and W at least 1, and held against a limit
 * by the caller: the room is his. ERR_DATA: fewer pixels than promised, an index beyond the
 * palette; the room may be written in part. */
MUST_CHECK enum err raster_read(const struct raster *raster, void *samples);

#endif
