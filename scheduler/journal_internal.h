/* What journal.c, journal_write.c and journal_codec.c (between records and the bytes of
 * journal.proto) share. Nobody else includes it. */
#ifndef SCHEDULER_JOURNAL_INTERNAL_H
#define SCHEDULER_JOURNAL_INTERNAL_H

#include "base/store/store.h"
#include "scheduler/journal.h"

enum journal_table {
    TABLE_STAGES,
    TABLE_ATTEMPTS,
    TABLE_EVENTS,
    TABLE_CURRENT,
    TABLE_META,
    TABLE_ADDED, /* from here on: tables that journals of format 1 lack */
    TABLE_MEASUREMENTS = TABLE_ADDED
};

struct journal {
    struct store *store;
};

static inline struct store_bytes journal_key(const struct hash *key)
{
    return (struct store_bytes){key->bytes, HASH_BYTES};
}

/* ERR_DATA when the bytes are not such a record. Texts inside that are too long are cut. */
MUST_CHECK enum err codec_read_stage(struct store_bytes value, struct stage_record *record);
MUST_CHECK enum err codec_read_attempt(struct store_bytes key, struct store_bytes value,
                                       struct attempt_record *record);
MUST_CHECK enum err codec_read_event(struct store_bytes key, struct store_bytes value,
                                     struct event_record *record);
/* *inputs: returns owned; may be NULL, like key. */
MUST_CHECK enum err codec_read_current(struct store_bytes value, struct hash *key, char **inputs);

MUST_CHECK enum err codec_put_stage(struct store_txn *txn, const struct hash *key,
                                    const struct stage_record *record);
MUST_CHECK enum err codec_put_attempt(struct store_txn *txn, const struct attempt_record *record);
MUST_CHECK enum err codec_put_event(struct store_txn *txn, const struct event_record *record);
MUST_CHECK enum err codec_put_current(struct store_txn *txn, const struct current_stage *stage);

/* journal_measurements.c: inside a batch. */
MUST_CHECK enum err measurement_write(struct store_txn *txn,
                                      const struct measurement_bytes *measurement);

MUST_CHECK enum err codec_put_measurement(struct store_txn *txn,
                                          const struct measurement_bytes *measurement);
/* Visits what is read: its bytes last for the call. */
MUST_CHECK enum err
codec_read_measurement(struct store_bytes key, struct store_bytes value,
                       enum err (*visit)(const struct measurement_bytes *, void *own), void *own);

#endif
