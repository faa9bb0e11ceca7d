/* A measurement as it lies in the store: under the hash of its key's text, BLAKE2b of table key and
 * message, then the message (checkpoint.proto). Gangs hand each other such records. */
#ifndef TRAINER_CHECKPOINT_MEASUREMENT_RECORD_H
#define TRAINER_CHECKPOINT_MEASUREMENT_RECORD_H

#include "base/hash.h"
#include "base/store/store.h"
#include "base/text.h"
#include "trainer/checkpoint/measurement.h"

struct measurement_record {
    struct hash key;
    struct text packed;
};
void measurement_record_fini(struct measurement_record *record); /* accepts a zeroed one */

/* The caller calls fini. */
void measurement_record_pack(const struct measurement *measurement,
                             struct measurement_record *record);

/* As measurement_find(), but as it lies there: nobody has looked at it. */
MUST_CHECK enum err measurement_find_packed(struct checkpoint_store *store, const struct hash *key,
                                            struct text *packed);

/* What is packed at `key`; the visitor's measurement lasts for the call. ERR_DATA when it is
 * damaged, named by the key's first digits. */
MUST_CHECK enum err measurement_record_unpack(struct store_bytes key, struct store_bytes packed,
                                              enum err (*visit)(const struct measurement *, void *),
                                              void *own);

/* Writes records in one transaction. */
MUST_CHECK enum err measurement_records_write(struct store *store,
                                              const struct measurement_record *records, int count);

#endif
