/* A gang whose words a test chooses: its process sleeps, and what it says and hears goes through
 * wires of the test, which acts between two turns of the loop. */
#ifndef TESTS_SCHEDULER_PUPPET_H
#define TESTS_SCHEDULER_PUPPET_H

#include "tests/scheduler/stage_set.h"

struct puppet {
    struct stage_set *set;
    void (*act)(struct puppet *puppet); /* at every turn of the loop */
    int scene;                          /* the test's own: how far it has got */
    double give_up_s;                   /* the test fails then */
    uint64_t lease_epoch;               /* of the stage that runs */
    uint64_t sequence;                  /* of the last word that wants an answer */
    struct wire *wire;                  /* NULL: not connected */
    uint64_t accepted;                  /* bits: the sequences that were */
    uint64_t void_lease;                /* the one the last goodbye was for */
};

/* Makes the set's gangs puppets. */
void puppet_make(struct puppet *puppet, struct stage_set *set, void (*act)(struct puppet *));
void puppet_free(struct puppet *puppet);

/* Another connection, under another name on the wire; the one before is closed. */
void puppet_connect(struct puppet *puppet);
/* Token and, where it is 0, the lease are filled in. */
void puppet_say(struct puppet *puppet, Gw__FromWorker *message);
void puppet_say_hello(struct puppet *puppet);
void puppet_say_alive(struct puppet *puppet, uint64_t lease_epoch);
void puppet_say_rank(struct puppet *puppet, unsigned rank);
/* Return the sequence. */
uint64_t puppet_say_checkpoint(struct puppet *puppet, const char *stage, uint64_t step);
uint64_t puppet_say_done(struct puppet *puppet, const char *stage);
uint64_t puppet_say_result(struct puppet *puppet, const char *stage, const char *results);
uint64_t puppet_say_failed(struct puppet *puppet, const char *stage, enum err error);
uint64_t puppet_say_warning(struct puppet *puppet, const char *stage);

/* Is there such a message among those that have come since? */
bool puppet_hears(struct puppet *puppet, Gw__ToWorker__BodyCase body);
bool puppet_was_accepted(const struct puppet *puppet, uint64_t sequence);
/* Hex of the content that puppet_say_checkpoint() names. */
const char *puppet_content(void);

#endif
