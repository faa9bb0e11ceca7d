/* What is to be measured, and which gang measures it: sub-networks that stages have asked for and
 * nobody knows the score of yet. A score waits, or a lease holds it as part of a share, until it is
 * known; what a lost gang held waits again, in front. Scores are known by their keys: it does not
 * matter who measured one, or how often. Knows no socket, journal or clock. One thread. */
#ifndef SCHEDULER_SHARES_H
#define SCHEDULER_SHARES_H

#include "base/hash.h"
#include <stdbool.h>
#include <stdint.h>

#define SHARE_MAX_SCORES 16 /* of one share */

struct score {
    struct hash key;
    const char *subnet; /* borrowed where one is passed, ours where one is returned */
    int split, detail;
};

struct shares;
struct shares *shares_create(void);
void shares_destroy(struct shares **shares); /* accepts NULL */

/* A stage asks: what it has not asked for yet waits, behind the rest. One that it has asked for in
 * less detail is to be measured in this. */
void shares_want(struct shares *shares, int stage, const struct score *score);
/* The stage has asked for it in at least this detail, and nobody knows it. */
bool shares_wants(const struct shares *shares, int stage, const struct hash *key, int detail);
int shares_waiting(const struct shares *shares, int stage);

/* A share for this lease: at most `room` of those that wait, in the order they were asked for.
 * Returned scores last until one of them is known or dropped. Returns how many. */
int shares_deal(struct shares *shares, int stage, uint64_t lease, uint64_t share, int room,
                struct score *dealt);
/* What is left of a share, for a gang that has not heard of it. */
int shares_of(const struct shares *shares, int stage, uint64_t lease, uint64_t share, int room,
              struct score *left);

/* It is known now, in this detail; `told` is called for each stage that asked. What was asked for
 * in more detail waits again. */
void shares_known(struct shares *shares, const struct hash *key, int detail,
                  void (*told)(void *own, int stage), void *own);
void shares_lose(struct shares *shares, uint64_t lease); /* it measures nothing any more */
void shares_drop(struct shares *shares, int stage);      /* nobody asks any more */

#endif
