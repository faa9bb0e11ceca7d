/* report.html: one self-contained page of a run: targets, the accuracy/latency front (accuracy/MACs
 * where there is no device to predict a latency for), curves per phase, accuracy of the
 * sub-networks by phase, confusion matrix and worst images of each target, what was compiled. Reads
 * the run's folder (docs/results.md); a part that is not there yet is said to be missing, not left
 * out silently. */
#ifndef CLUSTER_REPORT_H
#define CLUSTER_REPORT_H

#include "base/text.h"
#include "cluster/series.h"
#include <jansson.h>
#include <stdbool.h>

struct run_stage { /* a training stage */
    char name[64];
    struct series loss, accuracy; /* of every step; accuracy in percent */
    json_t *result;               /* results/<stage>.json */
};

struct run_results { /* what the page is made of; every pointer may be NULL */
    char *folder;
    struct run_stage stages[32];
    int stage_count;  /* in order */
    int target_count; /* of the campaign */
    json_t *evaluate; /* results/evaluate.json */
    json_t *search;   /* results/search.json */
    json_t *bundles;  /* array of bundle.json objects */
    json_t *checked;  /* array of the targets whose bundles the campaign checks */
    char *campaign;   /* campaign.yaml as text */
};

/* ERR_NOT_FOUND when the folder is not a run's; ERR_DATA names a file that does not parse. */
MUST_CHECK enum err run_results_load(const char *folder, struct run_results *results);
void run_results_fini(struct run_results *results); /* accepts a zeroed one */

/* The sub-network that results/search.json names for a target; borrowed. NULL: none. */
const char *run_results_choice(const json_t *search, const char *target);

void report_write(const struct run_results *results, struct text *html);

/* The sections, in the page's order (report_*.c). */
void report_lineage(const struct run_results *results, struct text *html); /* in the header */
void report_targets(const struct run_results *results, struct text *html);
void report_front(const struct run_results *results, struct text *html);
void report_curves(const struct run_results *results, struct text *html);
void report_phases(const struct run_results *results, struct text *html);
void report_mistakes(const struct run_results *results, struct text *html);
void report_bundles(const struct run_results *results, struct text *html);

/* Says that there is nothing to show and why, and ends the section. */
void report_missing(struct text *html, const char *why);

/* Whether a row of results/evaluate.json is the biggest or the smallest of the space. */
bool report_is_end(const json_t *subnet);

/* obj[key] as a number, or `missing`. */
double report_number(const json_t *object, const char *key, double missing);
/* obj[key] as text, or "". */
const char *report_string(const json_t *object, const char *key);

#endif
