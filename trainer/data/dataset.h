/* A dataset on disk: one LMDB environment with the images (raw u8 or JPEG), labels, class names,
 * mean and deviation, and a content hash over all of it. Written once by dataset_import() (all or
 * nothing), read-only afterwards. Splits: train, holdout (cut out of train, deterministically, by
 * the reader's choice of size and seed), test. */
#ifndef TRAINER_DATA_DATASET_H
#define TRAINER_DATA_DATASET_H

#include "base/err.h"
#include "trainer/data/dataset_info.h"
#include "trainer/data/image.h"
#include <stdbool.h>

struct dataset;

/* ERR_NOT_FOUND, ERR_DATA (not a dataset, a newer version, cut short), ERR_IO. A process opens a
 * dataset once and shares it among its threads (ERR_AGAIN otherwise); any number of processes may
 * read at once. Returns owned. */
MUST_CHECK enum err dataset_open(const char *path, struct dataset **dataset);
void dataset_close(struct dataset **dataset); /* accepts NULL */
const struct dataset_info *dataset_info(const struct dataset *dataset);
const char *dataset_path(const struct dataset *dataset); /* borrowed */

enum split { SPLIT_TRAIN, SPLIT_HOLDOUT, SPLIT_TEST };

/* The images of a split as record numbers. Of the imported training images `holdout` are held out:
 * the first of rng_permute(0, RNG_HOLDOUT, 0, n), the same whoever asks. Listed in ascending order.
 * ERR_CONFIG when holdout >= n. *records: returns owned. */
MUST_CHECK enum err dataset_split(const struct dataset *dataset, enum split split, uint32_t holdout,
                                  uint32_t **records, uint32_t *count);

/* Decodes a record into image->pixels (grown as needed; free with mem_free). Any thread may call at
 * once. */
MUST_CHECK enum err dataset_read(const struct dataset *dataset, uint32_t record,
                                 struct image *image);

/* What people call a record: the source's file ("cats/3.png"), or "train[17]", "test[3]" where it
 * had none of its own. Written to `name`, cut at `room`. */
MUST_CHECK enum err dataset_record_name(const struct dataset *dataset, uint32_t record, char *name,
                                        size_t room);

/* For readers of many records (the loader): visits them in the given order within one transaction,
 * undecoded; `index` counts from 0. An error of the visitor ends the walk and is returned with the
 * record and the dataset in front. Any thread may call at once. */
struct record;
MUST_CHECK enum err
dataset_visit(const struct dataset *dataset, const uint32_t *records, uint32_t count,
              enum err (*visit)(uint32_t index, const struct record *record, void *own), void *own);

struct dataset_fault { /* one record that is not as it was written */
    uint32_t record;
    char name[160];
    char reason[160];
};
struct dataset_check {
    struct dataset_fault *faults; /* owned: mem_free */
    uint32_t fault_count;
    bool content_agrees;       /* the content hash, computed anew, is the stored one */
    struct hash content_found; /* as computed; records that cannot be read left out */
};
/* Reads and decodes every record with `threads` threads, compares its digest, and computes the
 * content hash anew. What is wrong with the data is in the check. ERR_AGAIN (too many readers),
 * ERR_MEMORY, ERR_IO: nothing is known of the rest; faults found before are in the check. */
MUST_CHECK enum err dataset_verify(const struct dataset *dataset, int threads,
                                   struct dataset_check *check);

#endif
