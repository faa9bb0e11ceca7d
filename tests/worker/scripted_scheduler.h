/* The scheduler's end of a link, played by the test: it says what the test tells it to and hears
 * what the gang sends. Fails the test when something does not come within 20 s. One thread. */
#ifndef TESTS_WORKER_SCRIPTED_SCHEDULER_H
#define TESTS_WORKER_SCRIPTED_SCHEDULER_H

#include "base/wire/wire.h"
#include "scheduler/protocol.pb-c.h"
#include "trainer/gang/work.h"
#include "worker/link.h"

#define SCRIPT_TOKEN "the run's token"
enum { SCRIPT_MOST_KEYS = 256 };

struct script {
    char folder[64], endpoint[96];
    struct wire *wire;
    struct wire_peer peer; /* who spoke last */
    struct link *link;
    struct rank_work work; /* that the link tells of */
    struct heard {         /* the message heard last */
        Gw__FromWorker__BodyCase body;
        uint64_t lease_epoch, sequence, step;
        char stage[64];
        int count; /* of scores or records */
        struct hash keys[SCRIPT_MOST_KEYS];
        size_t record_bytes[SCRIPT_MOST_KEYS];
        bool is_question;
        uint64_t share; /* of a Ready */
        bool is_alive;  /* it says so of rank 0, with... */
        int64_t pid;
        uint64_t work;
    } heard;
};

/* Listens; nobody is there yet. */
void script_listen(struct script *script);
void script_end(struct script *script);

/* cmocka's setup and teardown: a gang that was started for lease 1 and has said hello. */
int script_open(void **state);
int script_close(void **state);

/* The next message. */
const struct heard *script_hear_any(struct script *script);
/* The next message of a kind; others before it are dropped. */
const struct heard *script_hear(struct script *script, Gw__FromWorker__BodyCase body);
/* Waits until the gang speaks for the lease; what it says until then is dropped. */
void script_await_lease(struct script *script, uint64_t lease_epoch);
void script_assign(struct script *script, uint64_t lease_epoch, const char *stage);
/* With everything else a real worker needs to begin. */
void script_assign_from(struct script *script, uint64_t lease_epoch, const char *stage,
                        const char *run_folder);
void script_accept(struct script *script, uint64_t sequence);
/* Records of these keys (count), all with this text; "": nobody knows them. */
void script_known(struct script *script, uint64_t lease_epoch, const struct hash *keys, int count,
                  const char *record);
void script_share(struct script *script, uint64_t lease_epoch, uint64_t number,
                  const struct hash *key, const char *subnet);
void script_stop(struct script *script);
void script_bye(struct script *script, uint64_t lease_epoch);

#endif
