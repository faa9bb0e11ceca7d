/* Runs a program of Slurm and takes what it says: by an argument vector, within a time limit. One
 * thread. */
#ifndef CLUSTER_SLURM_ASK_H
#define CLUSTER_SLURM_ASK_H

#include "base/err.h"

#define ASK_SECONDS   10.0
#define ASK_MAX_BYTES (4 * 1024 * 1024)
#define ASK_JOB       32 /* a job's number in letters */

struct answer {
    int code;     /* exit code; -1: a signal ended it */
    char *output; /* owned, never NULL once it is there */
    char *error;  /* likewise, without line ends at its end */
};
void answer_fini(struct answer *answer); /* accepts zeroes */

/* argv: NULL at the end. A code other than 0 is an answer too. ERR_UNAVAILABLE: there is no such
 * program. ERR_AGAIN: it did not answer in time, and nobody knows what it has done; or this machine
 * has no room for a process now. ERR_IO. */
MUST_CHECK enum err ask(const char *const *argv, double seconds, struct answer *answer);

/* The same; a code other than 0 is ERR_AGAIN with what it said, since "unknown" is not "no". */
MUST_CHECK enum err ask_surely(const char *const *argv, struct answer *answer);

/* Submits the job that argv, beginning with sbatch and "--parsable", asks for; job: its number.
 * ERR_FAILED: Slurm refuses it; the text says why, and then `cure`. ERR_AGAIN: it may have it all
 * the same, or take it later. Others as ask(). */
MUST_CHECK enum err ask_sbatch(const char *const *argv, const char *cure, char job[ASK_JOB]);

#endif
