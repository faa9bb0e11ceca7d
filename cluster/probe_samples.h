/* The pictures of a probe, what its network answers to them, and what a camera is to. One thread.
 */
#ifndef CLUSTER_PROBE_SAMPLES_H
#define CLUSTER_PROBE_SAMPLES_H

#include "trainer/export/bundle.h"

#define PROBE_SAMPLES 4

struct probe_samples {
    struct bundle_sample list[PROBE_SAMPLES];
    float *logits;   /* (PROBE_SAMPLES, outputs) */
    float *expected; /* (PROBE_SAMPLES, BUNDLE_EXPECTED, outputs); NULL: see below */
};

/* is_expected: the device's arithmetic is known. Returns owned, whatever happens: the caller calls
 * probe_samples_destroy(). ERR_MEMORY. */
MUST_CHECK enum err probe_samples_make(const struct folded *folded,
                                       const struct dataset_info *dataset, bool is_expected,
                                       struct probe_samples **samples);
void probe_samples_destroy(struct probe_samples **samples); /* accepts NULL */

int probe_samples_best(const float *values, int count);

#endif
