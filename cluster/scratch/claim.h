/* Claims of a run that several machines may start (base/fence.h says what a claim is). Whoever
 * claims looks first whether the last owner lives: it writes RUN/published/claim-N.beat every two
 * seconds, from a thread of its own, so that neither a long look at the folder nor a hanging disk
 * of its node makes it look dead. Beats are compared with each other, never with a clock. Text
 * files, for people too. One thread calls. */
#ifndef CLUSTER_SCRATCH_CLAIM_H
#define CLUSTER_SCRATCH_CLAIM_H

#include "base/err.h"
#include "base/hash.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define CLAIM_WATCH_S 8.0 /* four beats */
#define CLAIM_ID      33  /* of stores: 32 hexadecimal digits */

struct claim_info { /* who made a claim */
    uint64_t number;
    char host[128];
    char place[192];            /* process_place() */
    int64_t pid, started_ticks; /* process_started_ticks() */
    char job[64];               /* of Slurm; "": none */
    int64_t restart;            /* of the job: SLURM_RESTART_COUNT */
    char made[32];              /* when, for people */
};
void claim_info_of_us(struct claim_info *info);
/* Of a claim. ERR_NOT_FOUND, ERR_DATA, ERR_IO. */
MUST_CHECK enum err claim_read(const char *run_folder, uint64_t number, struct claim_info *info);
/* Of a claim's text, number aside; `path` is what errors say. ERR_DATA. */
MUST_CHECK enum err claim_parse(const char *path, const char *text, struct claim_info *info);
/* The highest; 0: none was made. */
uint64_t claim_highest(const char *run_folder);

enum claim_mode {
    CLAIM_IF_FREE,
    CLAIM_TAKE_OVER /* a person knows that the last owner is gone, or wants it to go */
};
struct claim_cfg { /* borrowed */
    const char *run_folder;
    const struct claim_info *us;
    enum claim_mode mode;
    double beat_s, watch_s;                  /* 0: BEAT_S, CLAIM_WATCH_S */
    const volatile sig_atomic_t *stop_asked; /* ends a watch; NULL: nothing does */
};

struct claim;
/* Owns the run from now on, and what earlier owners have begun is gone (fence_sweep()). At once
 * where nobody owned it, where the last owner ended in good order, was this job before it was
 * queued again, or was a process of this machine that is gone; not while it is one that lives, if
 * only paused; otherwise after watching its beat. ERR_AGAIN: it lives, and where; ERR_INTERRUPTED,
 * ERR_IO, ERR_FULL. Returns owned. */
MUST_CHECK enum err claim_take(const struct claim_cfg *cfg, struct claim **claim);
uint64_t claim_number(const struct claim *claim);
/* What the thread saw last, within seconds: ERR_AGAIN when there is a higher claim. Never waits. */
MUST_CHECK enum err claim_check(struct claim *claim);

enum claim_end {
    CLAIM_PUBLISHED, /* all that was done is published: whoever is next goes on at once */
    CLAIM_ENDED,     /* in good order, but some of it is on our scratch only */
    CLAIM_LOST       /* says nothing */
};
/* Ends the beat and leaves word, unless the claim was lost. Accepts NULL. */
void claim_close(struct claim **claim, enum claim_end end);
/* The word that this claim left: CLAIM_LOST where there is none. */
enum claim_end claim_ending(const char *run_folder, uint64_t number);

/* Which stores an owner worked on: a name of theirs that no others have. ERR_IO, ERR_FULL. */
MUST_CHECK enum err claim_tell_stores(const char *run_folder, uint64_t number,
                                      const char id[CLAIM_ID]);
/* Those of the highest claim that came to have some; number 0 and "" where none did. */
void claim_newest_stores(const char *run_folder, uint64_t *number, char id[CLAIM_ID]);

#endif
