/* The images a bundle is checked on: the hold-out of the run it lies in, where that and its data
 * set are there, or the bundle's own samples. As the network takes them: 8 bits, its side, its
 * channels. Any thread reads them. */
#ifndef CLUSTER_CHECK_CHECK_IMAGES_H
#define CLUSTER_CHECK_CHECK_IMAGES_H

#include "cluster/opened_bundle.h"
#include "trainer/data/splits.h"

struct check_sample {
    struct image image;
    float *logits; /* (classes) the supernet's */
};

struct check_images {
    const char *from;             /* "hold-out", "training" (nothing is held out), "sample" */
    char *run;                    /* the folder; NULL: no run was found */
    char *why_not;                /* its images are not read; NULL: they are, or there is no run */
    int count;                    /* of the images to check on */
    struct check_sample *samples; /* (sample_count) */
    int sample_count;
    const uint32_t *records; /* (available) of the run; NULL: samples */
    uint32_t available;
    struct splits splits;
    struct campaign *campaign;
    struct onnx_shape shape; /* of the bundle; .classes: those that stand for one */
    enum geometry geometry;  /* of the bundle, whatever the run's is by now */
};

/* bundle: the folder of what was opened. run: NULL: found from the bundle's place. ERR_DATA names
 * what is wrong with the samples, or with a run that was named; ERR_CONFIG: that run's data set has
 * other classes. */
MUST_CHECK enum err check_images_open(const char *bundle, const struct opened_bundle *opened,
                                      const char *run, int most, struct check_images *images);
void check_images_close(struct check_images *images); /* accepts a zeroed one */

/* Image `index` of count, fitted; image->pixels grows as needed. */
MUST_CHECK enum err check_images_read(const struct check_images *images, int index,
                                      struct image *image);

#endif
