/* A measurement as it is kept and as gangs hand it to each other: BLAKE2b of the key's hash and the
 * message, then the message (checkpoint.proto). The key is the hash of the key's text. */
#ifndef TRAINER_CHECKPOINT_MEASUREMENT_RECORD_H
#define TRAINER_CHECKPOINT_MEASUREMENT_RECORD_H

#include "base/hash.h"
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

/* What is packed for `key`; the visitor's measurement lasts for the call. ERR_DATA when it is
 * damaged, or of another key: named by the key's first digits. */
MUST_CHECK enum err measurement_record_unpack(const struct hash *key, const void *packed,
                                              size_t size_bytes,
                                              enum err (*visit)(const struct measurement *, void *),
                                              void *own);

#endif
