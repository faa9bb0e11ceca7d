/* A network of a run that says what it takes a picture for: a bundle's, through network.onnx. One
 * thread. */
#ifndef CLUSTER_QUALITY_SECOND_OPINION_H
#define CLUSTER_QUALITY_SECOND_OPINION_H

#include "cluster/opened_bundle.h"
#include "trainer/data/image.h"

struct second_opinion {
    char *bundle;     /* its folder; owned */
    uint32_t holdout; /* images that the run holds out */
    struct opened_bundle opened;
    struct image fitted;
};

/* target: NULL for the first of the campaign that has a bundle. ERR_NOT_FOUND: there is none;
 * ERR_CONFIG: of other classes than the data set's. *opinion: returns owned. */
MUST_CHECK enum err second_opinion_open(const char *run, const char *target,
                                        const struct dataset_info *info,
                                        struct second_opinion **opinion);
void second_opinion_close(struct second_opinion **opinion); /* accepts NULL */

/* The class with the greatest probability, and that. */
MUST_CHECK enum err second_opinion_ask(struct second_opinion *opinion, const struct image *image,
                                       int32_t *predicted, double *confidence);

#endif
