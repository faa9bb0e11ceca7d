#include "trainer/emulator/error_figures.h"
#include <math.h>

/* NaN and infinity count as infinitely far. */
static double difference(float expected, float found)
{
    double off = fabs((double)expected - (double)found);
    return isfinite(off) ? off : INFINITY;
}

struct error_figures error_figures(const float *expected, const float *found, int count)
{
    struct error_figures figures = {0};
    double scale = 0, squares = 0;
    int far = 0;
    for (int i = 0; i < count; i++)
        scale = fmax(scale, fabs((double)expected[i]));
    scale = scale > 0 ? scale : 1;
    for (int i = 0; i < count; i++) {
        double off = difference(expected[i], found[i]);
        if (!isfinite(off) || !isfinite(scale))
            return (struct error_figures){INFINITY, INFINITY, 100, INFINITY};
        figures.largest = fmax(figures.largest, off);
        figures.mean += off / count;
        squares += off * off / count;
        far += off > ERROR_LARGEST_PERCENT / 100 * scale;
    }
    figures.largest *= 100 / scale;
    figures.mean *= 100 / scale;
    figures.l2 = sqrt(squares) * 100 / scale;
    figures.far = 100.0 * far / count;
    return figures;
}

struct error_figures error_figures_worst(struct error_figures left, struct error_figures right)
{
    return (struct error_figures){fmax(left.largest, right.largest), fmax(left.mean, right.mean),
                                  fmax(left.far, right.far), fmax(left.l2, right.l2)};
}

bool error_figures_pass(const struct error_figures *figures)
{
    return figures->largest <= ERROR_LARGEST_PERCENT && figures->mean <= ERROR_MEAN_PERCENT &&
           figures->far <= ERROR_FAR_PERCENT && figures->l2 <= ERROR_L2_PERCENT;
}
