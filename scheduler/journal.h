/* The journal: what has happened in a run, in one LMDB environment (base/store) that a crash at any
 * moment leaves whole. Stages are known by their keys, so an edited campaign finds what it may
 * keep. A lease says which attempt may speak for a stage: a report counts only if the transaction
 * that writes it finds the report's lease epoch current. One process writes and thereby owns the
 * run; others may read at any time. One thread per journal. */
#ifndef SCHEDULER_JOURNAL_H
#define SCHEDULER_JOURNAL_H

#include "base/err.h"
#include "base/hash.h"
#include "base/text.h"
#include "scheduler/cause.h"
#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_PATH 256
#define JOURNAL_TEXT 4096
#define JOURNAL_NODE 64

struct journal;

enum journal_mode { JOURNAL_READ, JOURNAL_WRITE };
/* ERR_AGAIN names the process that runs this run already; ERR_NOT_FOUND when reading and there is
 * none. Returns owned. */
MUST_CHECK enum err journal_open(const char *path, enum journal_mode mode,
                                 struct journal **journal);
void journal_close(struct journal **journal);              /* accepts NULL */
const char *journal_folder(const struct journal *journal); /* borrowed */

/* As store_copy() (base/store). *last_write: the number of the last transaction that wrote before
 * the copy was begun. */
MUST_CHECK enum err journal_copy(struct journal *journal, const char *file, uint64_t *last_write);
MUST_CHECK enum err journal_last_write(struct journal *journal, uint64_t *last_write);

struct stage_record {
    char name[64];
    char *inputs; /* owned: stage_record_fini */
    bool is_done, is_leased;
    uint64_t lease_epoch;
    int attempts;
    uint64_t step, steps;            /* of the last checkpoint that counts, and of the stage */
    char checkpoint[HASH_HEX_BYTES]; /* "" : none */
    char content[HASH_HEX_BYTES];
    char results[JOURNAL_PATH];
    char results_hash[HASH_HEX_BYTES];
    int64_t first_started_ms, done_ms;
    double seconds;
    double images_per_second;
    enum err error;
    char error_text[JOURNAL_TEXT];
    int ends[CAUSE_COUNT]; /* of attempts, ever, by cause; those before journals had causes are not
                              among them */
    struct budget budget;  /* in a run that has not ended (journal_forgive) */
    enum cause cause;      /* of the last end... */
    int64_t ended_ms;      /* ...then, since 1970 */
    uint64_t forgiven_epoch; /* what its attempts up to this lease say of nodes is past */
};
void stage_record_fini(struct stage_record *record); /* accepts a zeroed one */

/* ERR_NOT_FOUND when no stage of this key was ever started. Call stage_record_fini after success.
 */
MUST_CHECK enum err journal_stage(struct journal *journal, const struct hash *key,
                                  struct stage_record *record);

/* Every stage that was ever started, whatever the campaign asks for now, in the order of keys. The
 * visitor may not ask the journal. */
MUST_CHECK enum err journal_stages(struct journal *journal,
                                   enum err (*visit)(const struct hash *key,
                                                     const struct stage_record *record, void *own),
                                   void *own);

/* The input lines and the key the campaign last asked for under a name; either may be NULL.
 * *inputs: returns owned. ERR_NOT_FOUND. */
MUST_CHECK enum err journal_current(struct journal *journal, const char *name, struct hash *key,
                                    char **inputs);

struct current_stage { /* all borrowed */
    const char *name, *inputs;
    const struct hash *key;
};
/* Replaces the table of what the campaign asks for. */
MUST_CHECK enum err journal_set_current(struct journal *journal, const struct current_stage *stages,
                                        int count);

/* A stage that was done runs again, since what it made is gone or damaged: `why`, an event too.
 * ERR_NOT_FOUND when no stage of this key was ever started. */
MUST_CHECK enum err journal_reopen(struct journal *journal, const struct hash *key,
                                   const char *why);

/* The stage's budget is whole again, and what its attempts said of nodes is past. ERR_NOT_FOUND
 * when no stage of this key was ever started. */
MUST_CHECK enum err journal_forgive(struct journal *journal, const struct hash *key);

struct lease {
    struct hash key;
    char name[64];
    uint64_t epoch;
    int attempt;    /* from 1 */
    bool is_helper; /* of a gang that only measures for the one that holds the stage's lease */
};
enum lease_start {
    LEASE_GOES_ON, /* from the stage's last checkpoint that counts, if there is one */
    LEASE_AFRESH   /* that checkpoint is gone: forget it */
};
/* Gives out the next lease for a stage: every older one is void from now on. */
MUST_CHECK enum err journal_lease(struct journal *journal, const struct hash *key, const char *name,
                                  const char *inputs, enum lease_start start, struct lease *lease);

/* A lease for another gang of a stage that was leased, which measures for it: voids none, and ends
 * alone. ERR_NOT_FOUND when no stage of this key was ever started. */
MUST_CHECK enum err journal_help(struct journal *journal, const struct hash *key,
                                 struct lease *lease);

struct attempt_record {
    struct hash key;
    char name[64];
    int number;
    uint64_t lease_epoch;
    int64_t started_ms, ended_ms;
    int64_t pid;
    uint64_t pid_started;
    char host[192]; /* process_place() */
    char log[JOURNAL_PATH];
    char socket_folder[JOURNAL_PATH];
    enum err error;
    enum cause cause;
    char text[JOURNAL_TEXT];
    uint64_t first_step, last_step;
    bool is_helper;
    char node[JOURNAL_NODE]; /* that ended it before its first step, "": none */
};
/* What was started for the lease, so that a later runner can find it. Only pid, pid_started, host,
 * log, socket_folder and first_step are taken. */
MUST_CHECK enum err journal_started(struct journal *journal, const struct lease *lease,
                                    const struct attempt_record *process);

/* A durable checkpoint of the leased stage. ERR_PEER when the lease is no longer current: the
 * checkpoint does not count. Reporting the same again is fine. */
MUST_CHECK enum err journal_checkpoint(struct journal *journal, const struct lease *lease,
                                       uint64_t step, uint64_t steps, const char *content);

struct stage_outcome {
    enum err error;           /* ERR_OK: the stage is done */
    enum cause cause;         /* CAUSE_NONE: what the error means by itself */
    bool made_progress;       /* a checkpoint or a measurement of it counted before this */
    const char *text;         /* of the error */
    const char *node;         /* that ended it before its first step; NULL: none */
    const char *content;      /* hex of the final checkpoint or "" */
    const char *results;      /* path inside the run's folder or "" */
    const char *results_hash; /* hex or "" */
    uint64_t step;            /* reached */
    double seconds;           /* this attempt took */
    double images_per_second; /* 0: not known */
};
static inline enum cause outcome_cause(const struct stage_outcome *outcome)
{
    return outcome->cause != CAUSE_NONE ? outcome->cause : cause_of(outcome->error);
}
/* Ends the lease. ERR_PEER when it is no longer current: nothing is written. */
MUST_CHECK enum err journal_end(struct journal *journal, const struct lease *lease,
                                const struct stage_outcome *outcome);

struct journal_checkpoint {
    uint64_t step, steps; /* steps 0: not known */
    const char *content;  /* hex */
};
struct journal_note {
    const char *kind, *stage, *text;
};
/* What a sub-network scored, found by the hash of all that the score depends on. The bytes are the
 * trainer's: the journal does not look into them. */
struct measurement_bytes { /* borrowed */
    const struct hash *key;
    int detail; /* from 0: a record of more detail answers for less, and is not replaced by it */
    const void *record;
    size_t size_bytes;
};

enum journal_verb { JOURNAL_CHECKPOINT, JOURNAL_END, JOURNAL_NOTE, JOURNAL_MEASUREMENT };
struct journal_entry { /* everything borrowed */
    enum journal_verb verb;
    const struct lease *lease; /* of a checkpoint and an end */
    union {
        struct journal_checkpoint checkpoint;
        struct stage_outcome outcome;
        struct journal_note note;
        struct measurement_bytes measurement;
    };
    enum err result; /* ERR_OK, or ERR_PEER: its lease is not current, nothing was written for it */
};
/* Many entries in one transaction, in their order: all that count, or none after an error. The
 * three functions above and journal_note() write one. */
MUST_CHECK enum err journal_write(struct journal *journal, struct journal_entry *entries,
                                  int count);

/* The record of that key in at least this detail, appended. ERR_NOT_FOUND. */
MUST_CHECK enum err journal_measurement(struct journal *journal, const struct hash *key, int detail,
                                        struct text *record);
/* Every one, in the order of keys. The visitor may not ask the journal. */
MUST_CHECK enum err
journal_measurements(struct journal *journal,
                     enum err (*visit)(const struct measurement_bytes *measurement, void *own),
                     void *own);

/* Attempts whose lease never ended: what a runner that died may have left running. */
MUST_CHECK enum err journal_unended(struct journal *journal,
                                    enum err (*visit)(const struct attempt_record *, void *own),
                                    void *own);
MUST_CHECK enum err journal_attempts(struct journal *journal,
                                     enum err (*visit)(const struct attempt_record *, void *own),
                                     void *own);

struct event_record {
    uint64_t number;
    int64_t at_ms;
    char kind[16], stage[64];
    uint64_t lease_epoch;
    char text[JOURNAL_TEXT];
};
MUST_CHECK enum err journal_note(struct journal *journal, const char *kind, const char *stage,
                                 const char *text);
MUST_CHECK enum err journal_events(struct journal *journal,
                                   enum err (*visit)(const struct event_record *, void *own),
                                   void *own);

#endif
