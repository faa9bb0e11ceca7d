/* Sources and datasets made for a test: IDX files, picture files, imports with defaults. Whatever
 * cannot be made ends the program. */
#ifndef TESTS_DATA_FIXTURE_H
#define TESTS_DATA_FIXTURE_H

#include "tests/scratch.h"
#include "trainer/data/dataset.h"
#include "trainer/data/import.h"
#include "trainer/data/resample.h"
#include <stddef.h>
#include <stdint.h>

/* Pixels that differ for every seed: smooth shapes and a little noise, as pictures have. */
struct image picture(int H, int W, int C, uint64_t seed);

struct pixels all_of(const struct image *image); /* borrows */
/* R x R floats of 0..255 of the area, owned: what the host leaves of it, and what a device makes of
 * that. `look`: mirrored, colours. */
float *square_of(const struct pixels *source, const struct area *area, int R,
                 const struct image_crop *look);
struct device *must_open_device(void); /* the CPU, one thread */

/* What a square promises, in double precision: channel c of the source at (y, x), in pixels of
 * the source, averaged by `shrink` and interpolated. */
double interpolated(const struct pixels *source, int shrink, double y, double x, int c);

void write_file(const char *folder, const char *name, const void *bytes, size_t size_bytes);
char *read_file(const char *folder, const char *name, size_t *size_bytes); /* owned */
void write_png(const char *folder, const char *name, const struct image *image);
void write_jpeg(const char *folder, const char *name, const struct image *image);
/* A PNG of picture(H, W, C, seed). */
void write_picture(const char *folder, const char *name, int H, int W, int C, uint64_t seed);

enum packing { PLAIN, GZIP };
/* The four files, `train` and `test` images of side x side; label of image i: i % classes. test 0:
 * none. */
void write_idx(const char *folder, uint32_t train, uint32_t test, int side, enum packing packing);
#define IDX_CLASSES 5
/* An IDX file from its header's words and its bytes. */
void write_idx_file(const char *folder, const char *name, const uint32_t *words, int word_count,
                    size_t item_bytes);
void write_packed(const char *folder, const char *name, const void *bytes, size_t size_bytes,
                  enum packing packing);
/* Pixels of image i of such a file: (side, side). */
uint8_t idx_pixel(int split, uint32_t image, int at);

/* cmocka's setup and teardown: a scratch folder and an import in it. */
struct scene {
    void *folder;
    const char *source;      /* FOLDER/source */
    const char *destination; /* FOLDER/dataset */
    struct import_cfg cfg;   /* of these, 2 threads, defaults */
};
int scene_make(void **state);
int scene_remove(void **state);

/* Imports and opens, or imports and gives the content hash; the program ends when that fails. */
struct dataset *must_import(const struct import_cfg *cfg);
struct hash must_hash(const struct import_cfg *cfg);

/* The reason why a file was skipped as this kind; NULL: it was not. */
const char *skip_reason(const struct import_report *report, const char *name, enum skip_kind kind);

#endif
