/* What is already there and what has to be done, and why: the graph held against the journal and
 * the run's folder. Starts nothing and writes nothing. */
#ifndef SCHEDULER_SURVEY_H
#define SCHEDULER_SURVEY_H

#include "scheduler/graph.h"
#include "scheduler/journal.h"

/* Whether the run's store has a checkpoint of this content (hex), every byte of it as it was
 * written. ERR_NOT_FOUND: it is not there; ERR_DATA: it is damaged, and err_text() says how. */
typedef enum err check_checkpoint(void *own, const char *content);

enum survey_verdict {
    SURVEY_DONE,    /* its key is done and its outputs are there */
    SURVEY_NEW,     /* never asked for before */
    SURVEY_PARTIAL, /* begun: goes on at record.step; damaged there (`why` says how): further back
                     */
    SURVEY_CHANGED, /* was asked for with other inputs: `why` has a line for each that differs */
    SURVEY_FOLLOWS, /* a stage before it runs again: `why` names it */
    /* was done, but what it made is gone, damaged, altered, or of a check that runs again: `why`
     * says what */
    SURVEY_LOST
};

struct survey_stage {
    enum survey_verdict verdict;
    bool has_record;
    struct stage_record record; /* when has_record */
    char *why;                  /* lines, "" when there is nothing to say; owned: survey_fini */
};

struct survey {
    int count, to_do;
    struct survey_stage stages[PLAN_MAX_STAGES];
};

struct survey_cfg {          /* all borrowed */
    struct journal *journal; /* NULL: there is none yet */
    const struct graph *graph;
    const char *run_folder;
    check_checkpoint *check;
    void *own;
};

MUST_CHECK enum err survey_take(const struct survey_cfg *cfg, struct survey *survey);
void survey_fini(struct survey *survey); /* accepts a zeroed one */

/* Hex of the hash of a file of the run's folder; what journal's results_hash holds. ERR_NOT_FOUND;
 * ERR_DATA: it is larger than 256 MiB, or no regular file; ERR_IO. */
MUST_CHECK enum err survey_hash_file(const char *run_folder, const char *path,
                                     char hex[HASH_HEX_BYTES]);

#endif
