/* How a dataset lies in its store, for the reader and the writer: a table of packs (record.h) by
 * number and one of the manifest (dataset.proto). Inside trainer/data only. */
#ifndef TRAINER_DATA_DATASET_STORE_H
#define TRAINER_DATA_DATASET_STORE_H

#include "base/store/store.h"
#include "trainer/data/record.h"

enum dataset_table { TABLE_PACKS, TABLE_MANIFEST };
#define MANIFEST_KEY     "manifest"
#define MANIFEST_VERSION 1

/* Where an import writes: DESTINATION.importing/dataset. */
#define DATASET_BESIDE   ".importing"
#define DATASET_IMPORTED "dataset"

/* Opens the store of a dataset. */
MUST_CHECK enum err dataset_store_open(const char *path, enum store_mode mode,
                                       struct store **store);

/* Writing: records in order, then the manifest. Records become durable in large transactions. */
struct dataset_writer;
MUST_CHECK enum err dataset_writer_open(const char *path, struct dataset_writer **writer);
MUST_CHECK enum err dataset_writer_add(struct dataset_writer *writer, const uint8_t *record,
                                       size_t size_bytes);
/* Fills info->content from the records' hashes that the writer collected, and closes the store. */
MUST_CHECK enum err dataset_writer_finish(struct dataset_writer *writer, struct dataset_info *info);
void dataset_writer_close(struct dataset_writer **writer); /* accepts NULL */

#endif
