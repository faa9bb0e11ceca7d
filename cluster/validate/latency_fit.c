#include "cluster/validate/latency_fit.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TERMS = COST_KINDS + 1, ROUNDS = 30, SWEEPS = 3000 };
#define NOISE       0.003 /* of a time: what is known is believed as one measurement of it... */
#define HUBER       1.345 /* times the spread: 95 % efficient for normal errors (Huber 1981) */
#define NORMAL_MAD  1.4826
#define LEAST_NOISE 1e-3 /* of the median: no camera's times are better than that */
/* ... that may be off by itself; of a device of which nothing is known, by these. */
static const double vague_ms[TERMS] = {10, 0.1, 0.1, 0.1, 0.1};

double latency_model_ms(const struct latency_model *model, const struct latency_point *point)
{
    double ms = model->fixed_ms;
    for (int k = 0; k < COST_KINDS; k++)
        ms += model->rate_ms[k] * point->mmac[k];
    return ms;
}

static double term_of(const struct latency_point *point, int term)
{
    return term == 0 ? 1 : point->mmac[term - 1];
}

static double *coefficient(struct latency_model *model, int term)
{
    return term == 0 ? &model->fixed_ms : &model->rate_ms[term - 1];
}

static int compare_reals(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_reals);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

struct fit {
    const struct latency_point *points;
    int count;
    struct latency_model known;
    double typical_ms;         /* median */
    double *weights, *scratch; /* (count) */
};

/* What pulls a coefficient to what is known of it, in units of a measurement's weight. */
static double ridge_of(const struct fit *fit, int term)
{
    double own = *coefficient((struct latency_model *)&fit->known, term);
    double off = own > 0 ? own : vague_ms[term], noise = NOISE * fit->typical_ms;
    return noise * noise / (off * off);
}

/* The best value of one coefficient, the others as they are. */
static void improve(const struct fit *fit, int term, struct latency_model *model)
{
    double *value = coefficient(model, term), above = 0, below = 0;
    for (int i = 0; i < fit->count; i++) {
        double x = term_of(&fit->points[i], term);
        double left = fit->points[i].measured_ms - latency_model_ms(model, &fit->points[i]);
        above += fit->weights[i] * x * (left + x * *value);
        below += fit->weights[i] * x * x;
    }
    double ridge = ridge_of(fit, term);
    double known = *coefficient((struct latency_model *)&fit->known, term);
    *value = fmax(0, (above + ridge * known) / (below + ridge));
}

/* What is further off than the spread of the others weighs less. */
static void weigh(const struct fit *fit, const struct latency_model *model)
{
    double *scratch = fit->scratch;
    double least = LEAST_NOISE * fit->typical_ms;
    for (int i = 0; i < fit->count; i++)
        scratch[i] = fabs(fit->points[i].measured_ms - latency_model_ms(model, &fit->points[i]));
    double spread = fmax(least, NORMAL_MAD * median_of(scratch, fit->count));
    for (int i = 0; i < fit->count; i++) {
        double off = fabs(fit->points[i].measured_ms - latency_model_ms(model, &fit->points[i]));
        fit->weights[i] = off > HUBER * spread ? HUBER * spread / off : 1;
    }
}

void latency_fit(const struct latency_point *points, int count, const struct latency_model *known,
                 struct latency_model *fitted)
{
    struct fit fit = {.points = points, .count = count, .known = *known};
    struct latency_model model = *known;
    fit.weights = mem_array((size_t)count, sizeof *fit.weights);
    fit.scratch = mem_array((size_t)count, sizeof *fit.scratch);
    for (int i = 0; i < count; i++)
        fit.weights[i] = 1, fit.scratch[i] = points[i].measured_ms;
    fit.typical_ms = median_of(fit.scratch, count);
    for (int round = 0; round < ROUNDS; round++) {
        for (int sweep = 0; sweep < SWEEPS; sweep++)
            for (int term = 0; term < TERMS; term++)
                improve(&fit, term, &model);
        weigh(&fit, &model);
    }
    *fitted = model;
    mem_free(fit.scratch);
    mem_free(fit.weights);
}
