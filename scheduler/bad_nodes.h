/* Nodes of a job that end gangs before their first step, while others do not: the second such end
 * in a row leaves a node out for the rest of the run, where another may take its place. What is
 * known of them is in the journal's attempts. One thread. */
#ifndef SCHEDULER_BAD_NODES_H
#define SCHEDULER_BAD_NODES_H

#include "scheduler/allocation.h"
#include "scheduler/journal.h"

#define BAD_NODES_MAX 32

struct bad_node {
    char name[JOURNAL_NODE];
    int ends; /* in a row, of gangs before their first step */
    bool is_excluded;
    char why[256]; /* its last end */
};
struct bad_nodes { /* zeroed: none */
    int count;
    struct bad_node list[BAD_NODES_MAX];
};

/* What the journal knows of a run that has not ended. */
MUST_CHECK enum err bad_nodes_recall(struct journal *journal, struct bad_nodes *nodes);

/* One more such end. Returns whether it is the one that leaves the node out. */
bool bad_nodes_add(struct bad_nodes *nodes, const char *name, const char *why);
/* A gang has made a step: what is not left out starts anew. */
void bad_nodes_forgive(struct bad_nodes *nodes);
int bad_nodes_excluded(const struct bad_nodes *nodes); /* how many are left out */
/* How many of them this job has: an earlier one of the run may have had others. */
int bad_nodes_excluded_of(const struct bad_nodes *nodes, const struct allocation *allocation);
/* Their names, "n2,n7"; "": none. */
void bad_nodes_write(const struct bad_nodes *nodes, char *list, int room);

struct blame {
    char node[JOURNAL_NODE]; /* "": nobody's, or several at once */
    char said[160];          /* "task 1: Exited with exit code 9" */
};
/* Whom srun names first in the log of a gang that ended by itself. */
void bad_nodes_blame(const char *log, struct blame *blame);
/* Whom the gang names as it says why it failed: "rank 1 on n2: there is no device" (comm_agree()).
 */
void bad_nodes_blame_word(const char *text, struct blame *blame);

#endif
