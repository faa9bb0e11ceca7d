/* The four figures in which the converter's own check tells how far an answer is from what was
 * expected, each in percent of the largest expected magnitude, and the bounds it holds them to.
 * Pure. */
#ifndef TRAINER_EMULATOR_ERROR_FIGURES_H
#define TRAINER_EMULATOR_ERROR_FIGURES_H

#include <stdbool.h>

#define ERROR_LARGEST_PERCENT 2.0
#define ERROR_MEAN_PERCENT    1.0
#define ERROR_FAR_PERCENT     0.0
#define ERROR_L2_PERCENT      1.0

struct error_figures {
    double largest; /* difference */
    double mean;
    double far; /* percent of the values that are further off than 2 percent */
    double l2;  /* root of the mean square */
};

/* expected, found (count). One that is not finite among them: all are infinite, `far` 100. */
struct error_figures error_figures(const float *expected, const float *found, int count);
/* The larger one of each. */
struct error_figures error_figures_worst(struct error_figures left, struct error_figures right);
bool error_figures_pass(const struct error_figures *figures);

#endif
