/* Where the runner of a run and its gangs meet, in a file of the run's folder that only its owner
 * may read: so that the next runner finds gangs that outlived this one. It says too whose gangs
 * they are: those of this very folder (a copy of it finds the file, but no gang of its own), told
 * to work as the campaign says (how many ranks, how often to save, ...). One thread. */
#ifndef SCHEDULER_RENDEZVOUS_H
#define SCHEDULER_RENDEZVOUS_H

#include "scheduler/journal.h"
#include "trainer/spec/campaign.h"

#define RENDEZVOUS_NAME  "rendezvous"
#define RENDEZVOUS_TOKEN 65

struct rendezvous {
    char token[RENDEZVOUS_TOKEN];
    char socket_folder[JOURNAL_PATH];
    char mpi_folder[JOURNAL_PATH]; /* "": without Open MPI */
    int port;                      /* that gangs of several nodes look for; 0: none */
};

/* Durable when it returns. ERR_IO, ERR_FULL. */
MUST_CHECK enum err rendezvous_write(const char *run_folder, const struct campaign *campaign,
                                     const struct rendezvous *rendezvous);
/* ERR_NOT_FOUND: there is none. ERR_CONFIG, with the reason: not to be believed (secret_read(),
 * another folder's, damaged), or its gangs were told otherwise than the campaign says now. ERR_IO.
 */
MUST_CHECK enum err rendezvous_read(const char *run_folder, const struct campaign *campaign,
                                    struct rendezvous *rendezvous);
/* A missing one is fine. */
void rendezvous_remove(const char *run_folder);

#endif
