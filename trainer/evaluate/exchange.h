/* The border between measuring and what others have measured: rank 0 of a gang says whose scores it
 * wants, is told those that are known, and is given lists of sub-networks to measure, its own
 * wishes or another gang's. Behind it are the scheduler and its journal (worker/link_exchange.h),
 * or, for a worker by hand, this process's memory (exchange_memory.h). A record is a measurement as
 * measurement_record_pack() makes it, a pure function of its key: it never matters who made it, or
 * how often it is said. What comes in is not believed before it was looked at (memo.h). One thread.
 */
#ifndef TRAINER_EVALUATE_EXCHANGE_H
#define TRAINER_EVALUATE_EXCHANGE_H

#include "base/err.h"
#include "base/hash.h"
#include "trainer/data/dataset.h"
#include <stddef.h>

#define EXCHANGE_MAX_RECORD_BYTES 204800 /* of one that every exchange takes */

struct exchange_score { /* of one sub-network on one set of images; borrowed */
    struct hash key;    /* of everything it depends on */
    const char *subnet; /* canonical, with its resolution */
    enum split split;
    int detail; /* enum eval_detail: a record of more detail will do */
};

struct exchange_record { /* borrowed */
    struct hash key;
    int detail;
    const void *bytes; /* packed */
    size_t size_bytes; /* 0: nobody knows it */
};

enum exchange_aim { EXCHANGE_ASK, EXCHANGE_WANT };
enum exchange_kind { EXCHANGE_RECORD, EXCHANGE_SHARE };

struct exchange_event { /* borrowed until the next call */
    enum exchange_kind kind;
    struct exchange_record record;       /* EXCHANGE_RECORD: of a score that was asked for */
    const struct exchange_score *scores; /* EXCHANGE_SHARE: (count) to measure, in this order */
    int count;
};

struct exchange {
    void *own;
    /* What is wanted from now on, instead of what was wanted before. ASK: of each a record comes,
     * empty where nobody knows it. WANT: of each a record comes in the end, since somebody measures
     * it. Copies the scores. Never waits. */
    void (*want)(struct exchange *, enum exchange_aim, const struct exchange_score *, int count);
    /* This gang has nothing to do: a share may come, its last one is measured. Never waits. */
    void (*ready)(struct exchange *);
    /* What happened next; each thing is told once. ERR_AGAIN: nothing within some hundredths of a
     * second, so that the gang can look at itself. */
    enum err (*next)(struct exchange *, struct exchange_event *);
    /* A record was measured: it is durable a little later. Copies it, unless it is larger than
     * EXCHANGE_MAX_RECORD_BYTES, or very many are not durable: then it will be measured again.
     * Never waits, since the other ranks would: instead no share comes while many are not durable.
     */
    void (*keep)(struct exchange *, const struct exchange_record *);
};

#endif
