/* A device's latency out of what networks took on it: a fixed time and one for a million
 * multiply-adds of each kind of layer, none below nothing. A camera gives totals only, and networks
 * of one space are much alike: what the measurements do not tell apart stays as it was known before
 * (a weak ridge towards that). Robust: a measurement that is far off counts less (Huber). Pure. */
#ifndef CLUSTER_VALIDATE_LATENCY_FIT_H
#define CLUSTER_VALIDATE_LATENCY_FIT_H

#include "trainer/spec/cost.h"

struct latency_point { /* a network */
    double mmac[COST_KINDS];
    double measured_ms;
};

struct latency_model {
    double fixed_ms, rate_ms[COST_KINDS];
};

double latency_model_ms(const struct latency_model *model, const struct latency_point *point);
/* count: 1 or more. */
void latency_fit(const struct latency_point *points, int count, const struct latency_model *known,
                 struct latency_model *fitted);

#endif
