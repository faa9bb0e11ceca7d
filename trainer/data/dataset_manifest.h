/* What a dataset says of itself, as it lies in its store (dataset.proto). Inside trainer/data only;
 * pure. */
#ifndef TRAINER_DATA_DATASET_MANIFEST_H
#define TRAINER_DATA_DATASET_MANIFEST_H

#include "base/err.h"
#include "trainer/data/dataset.pb-c.h"
#include "trainer/data/dataset_info.h"
#include <stddef.h>

#define DATASET_MAX_SIDE 65535 /* of an image: records count in 16 bits */

/* *info borrows from *manifest, which returns owned (glowworm__dataset_manifest__free_unpacked).
 * ERR_DATA: damaged, or of a later layout. */
MUST_CHECK enum err dataset_manifest_read(const void *bytes, size_t size_bytes,
                                          Glowworm__DatasetManifest **manifest,
                                          struct dataset_info *info);

#endif
