/* What the page's scripts ask for, out of the folders of runs: nothing but files is read, as
 * `glowworm status` reads them, and what a file says is checked. Every answer is a JSON object;
 * {"trouble": TEXT} where there is nothing to say. One thread. */
#ifndef CLUSTER_PAGE_PAGE_ANSWERS_H
#define CLUSTER_PAGE_PAGE_ANSWERS_H

#include "cluster/page/curve_cache.h"
#include "cluster/status/status_reader.h"

enum page_source {
    PAGE_ANY_RUN, /* of an old run the journal may be opened */
    PAGE_OWN_RUN  /* of this very process, which holds the journal, or of processes that it must
                     outlive whatever their journals hold: no journal is opened */
};

struct page_runs {
    int count;
    char **folders; /* (count) borrowed */
    enum page_source source;
    bool grows; /* others may be added at its end */
    struct curve_cache *curves;
    struct found_status *found; /* room for one */
};

/* As status_read() for the run of this number. */
MUST_CHECK enum err page_status(struct page_runs *runs, int run);

/* {"grows": false, "runs": [{"folder", "campaign", "state", "runner", "done", "stages", ...}]}: a
 * line of each. */
json_t *page_runs_json(struct page_runs *runs);
/* What `glowworm status --json` says of one. */
json_t *page_status_json(struct page_runs *runs, int run);
/* The curves of a training stage (curves.h), "version", and "more": there is more to be read now.
 * Only {"version", "same": true} where `from` is their version. */
json_t *page_curves_json(struct page_runs *runs, int run, const char *stage, int64_t from);
/* {"targets": [...], "report": true}: what the search found, and whether there is a report. */
json_t *page_results_json(struct page_runs *runs, int run);
/* The report, open; ERR_NOT_FOUND, ERR_DATA, ERR_IO. */
MUST_CHECK enum err page_report(struct page_runs *runs, int run, int *file, size_t *size_bytes);

#endif
