/* What can be known of a run from its folder, from any machine that sees it: its status.json, and
 * whether the runner that wrote it is still there; of a run from before there was one, its journal.
 * Starts nothing and writes nothing. */
#ifndef CLUSTER_STATUS_STATUS_READER_H
#define CLUSTER_STATUS_STATUS_READER_H

#include "cluster/status/run_status.h"

#define STATUS_STALE_S 30.0 /* written every two seconds: so old it says nothing of now */

enum runner_state {
    RUNNER_THERE,  /* its status is fresh */
    RUNNER_SILENT, /* it is not, and the runner may or may not be there (another host, a hung disk)
                    */
    RUNNER_GONE,   /* without a last word: killed, or its machine started anew */
    RUNNER_ENDED,  /* in good order, well or not */
    RUNNER_UNKNOWN /* the journal says nothing of it */
};

struct found_status {
    struct run_status status;
    enum runner_state runner;
    double age_s; /* since it was written, by this machine's clock; negative: that one is behind */
    bool is_from_journal;
};

/* ERR_NOT_FOUND: that is no run's folder; ERR_DATA: a status.json that is damaged, larger than 4
 * MiB, a link or no file; ERR_IO. */
MUST_CHECK enum err status_read(const char *run_folder, struct found_status *found);
/* The same of status.json alone. */
MUST_CHECK enum err status_read_published(const char *run_folder, struct found_status *found);

/* What is published, and behind it "folder" (as the person named it), "runner", "age_seconds" and
 * "source". Returns owned (json_decref). */
json_t *status_json(const struct found_status *found, const char *folder);
/* "there", "silent", ...: the word of --json. */
const char *runner_state_name(enum runner_state state);

#endif
