/* Tells of a run in its folder, for whoever sees that: RUN/published/status.json is written anew
 * every two seconds and with every change of a stage's state, aside and renamed. Listens to the
 * loop as a view, and looks for a stop file (stop_file.h) twice a second. A thread of its own does
 * both, since a disk that is full or hangs must end no run: it is said once. One thread calls. */
#ifndef CLUSTER_STATUS_STATUS_WRITER_H
#define CLUSTER_STATUS_STATUS_WRITER_H

#include "cluster/status/run_status.h"
#include "scheduler/loop.h"

struct run_estimate;

struct status_writer_cfg { /* all borrowed */
    const char *run_folder;
    uint64_t claim;       /* ours of the run (base/fence.h); 0: none */
    const char *campaign; /* its name */
    const char *device;   /* resources.device */
    const char *command;  /* what was typed */
    const struct graph *graph;
    void (*stop)(void);       /* called in the loop's tick when somebody left a stop file */
    int (*stop_signal)(void); /* that asked for the end; NULL: not known */
};

struct status_writer;
/* Writes "starting", in the caller's thread: no thread is started yet. Returns owned. The journal
 * is held: nobody else writes there. */
struct status_writer *status_writer_create(const struct status_writer_cfg *cfg);
/* What the folder holds is known: from now on its view may be told, and the thread is there.
 * estimate: of what is left, borrowed until the end; NULL: not known. */
void status_writer_begin(struct status_writer *writer, const struct survey *survey,
                         const struct run_estimate *estimate);
/* The loop's view of it, borrowed. */
const struct loop_view *status_writer_view(struct status_writer *writer);

/* The run ended with `why`, err_text() being its text, which is kept. Waits some seconds for the
 * disk. */
void status_writer_end(struct status_writer *writer, enum err why);
/* What was told last; borrowed. */
const struct run_status *status_writer_status(const struct status_writer *writer);
void status_writer_destroy(struct status_writer **writer); /* accepts NULL */

#endif
