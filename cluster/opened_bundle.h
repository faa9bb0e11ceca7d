/* A compiled bundle, read back to be run: its network, how the camera normalises an image, the
 * names of its classes. It may be anybody's. One thread. */
#ifndef CLUSTER_OPENED_BUNDLE_H
#define CLUSTER_OPENED_BUNDLE_H

#include "trainer/data/dataset_info.h"
#include "trainer/export/onnx_run.h"
#include "trainer/spec/geometry.h"

struct opened_bundle { /* owned; starts zeroed */
    struct onnx_net *net;
    struct onnx_shape shape;
    struct dataset_info dataset; /* mean and deviation only, of red, green, blue */
    bool is_bgr;                 /* the network takes blue, green, red */
    enum geometry geometry;      /* of the images it was trained on */
    int classes;                 /* the first of shape.classes outputs: the others stand for none */
    char *labels_text;
    char **labels;                          /* (shape.classes), into labels_text */
    float *values, *logits, *probabilities; /* (C,H,W), (shape.classes), (shape.classes) */
};

/* ERR_NOT_FOUND: a file of it is missing; ERR_DATA names the one that is damaged; ERR_IO. */
MUST_CHECK enum err opened_bundle_load(const char *bundle, struct opened_bundle *opened);
void opened_bundle_fini(struct opened_bundle *opened); /* accepts a zeroed one */

/* Its parts, for a network of this shape. Errors likewise. */
MUST_CHECK enum err opened_bundle_read_camera(const char *bundle, struct opened_bundle *opened);
MUST_CHECK enum err opened_bundle_read_labels(const char *bundle, struct opened_bundle *opened);

/* Before hours of work: may a verdict be written into it? ERR_IO, with the cure. */
MUST_CHECK enum err opened_bundle_check_writable(const char *bundle, const char *cure);

#endif
