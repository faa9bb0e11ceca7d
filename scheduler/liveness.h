/* Whether the ranks of a gang live and work, by what each says of itself once a second. A rank that
 * falls silent was stopped, or its machine is gone; one that speaks but stands still in its work
 * while it waits for nobody hangs. Ranks that wait for it are neither. Times are of one steady
 * clock, in seconds. One thread. */
#ifndef SCHEDULER_LIVENESS_H
#define SCHEDULER_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

struct rank_word { /* borrowed */
    int rank;
    uint64_t work;   /* grows with the work; how much a step of it is does not matter */
    uint64_t polls;  /* grows while it waits for other ranks */
    bool is_waiting; /* for the disk */
    const char *host;
    int64_t pid;
};

struct rank_seen {
    bool is_heard;
    bool has_moved; /* only then is standing still a bad sign: loading may take as long as it likes
                     */
    bool is_waiting;
    uint64_t work, polls;
    double heard_s, moved_s;
    double longest_s; /* between two movements, lately: an old one fades */
    int64_t pid;
    char host[64];
};

struct liveness {
    int count; /* of ranks; 0: none is watched */
    bool is_begun;
    double begun_s;          /* first word of any rank */
    struct rank_seen *ranks; /* owned */
};
void liveness_init(struct liveness *liveness, int ranks);
void liveness_fini(struct liveness *liveness); /* accepts a zeroed one */

/* Time in which nobody listened: it counts for no rank. */
void liveness_skip(struct liveness *liveness, double seconds);
/* A rank that is none of the gang's is not heard. */
void liveness_hear(struct liveness *liveness, const struct rank_word *word, double now_s);

/* The first rank that has been silent for limit_s, else the first that has stood still for limit_s
 * and three times its longest recent batch; -1: all is well. *why names it in words. */
int liveness_find_stalled(const struct liveness *liveness, double limit_s, double now_s, char *why,
                          int room);

#endif
