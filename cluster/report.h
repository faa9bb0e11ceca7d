/* report.html: one self-contained page of a run: targets, the accuracy/latency front, curves per
 * phase, accuracy of the sub-networks by phase, confusion matrix and worst images of each target,
 * what was compiled. Reads the run's folder (docs/results.md); a part that is not there yet is said
 * to be missing, not left out silently. */
#ifndef CLUSTER_REPORT_H
#define CLUSTER_REPORT_H

#include "base/text.h"
#include <jansson.h>

struct run_results { /* what the page is made of; every pointer may be NULL */
    char *folder;
    struct {
        char name[64];
        json_t *metrics; /* array of events */
        json_t *result;  /* results/<stage>.json */
    } stages[32];
    int stage_count;  /* training stages, in order */
    json_t *evaluate; /* results/evaluate.json */
    json_t *search;   /* results/search.json */
    json_t *bundles;  /* array of bundle.json objects */
    char *campaign;   /* campaign.yaml as text */
};

/* ERR_NOT_FOUND when the folder is not a run's; ERR_DATA names a file that does not parse. */
MUST_CHECK enum err run_results_load(const char *folder, struct run_results *results);
void run_results_fini(struct run_results *results); /* accepts a zeroed one */

void report_write(const struct run_results *results, struct text *html);

/* The sections, in the page's order (report_*.c). */
void report_targets(const struct run_results *results, struct text *html);
void report_front(const struct run_results *results, struct text *html);
void report_curves(const struct run_results *results, struct text *html);
void report_phases(const struct run_results *results, struct text *html);
void report_mistakes(const struct run_results *results, struct text *html);
void report_bundles(const struct run_results *results, struct text *html);

/* obj[key] as a number, or `missing`. */
double report_number(const json_t *object, const char *key, double missing);
/* obj[key] as text, or "". */
const char *report_string(const json_t *object, const char *key);

#endif
