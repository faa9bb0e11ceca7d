/* What `glowworm check` finds out about a bundle: its files as they are on the disk, run in fp32
 * and in the camera's arithmetic on images, and what that means. The folder may be anybody's. How
 * it is told: check_text.h. One thread; the images are run by several. */
#ifndef CLUSTER_CHECK_CHECK_H
#define CLUSTER_CHECK_CHECK_H

#include "base/text.h"
#include "cluster/check/check_images.h"
#include "cluster/opened_bundle.h"
#include "trainer/emulator/divergence.h"
#include "trainer/spec/target.h"
#include <jansson.h>
#include <stdbool.h>

#define CHECK_FORMATS          3
#define CHECK_FORMAT_TOLERANCE 1e-5 /* of the largest logit: a bundle's files with each other */
#define CHECK_FRAME_TOLERANCE  1e-3 /* of a probability: with what samples.json expects */

struct check_format {         /* the network in one of the bundle's formats */
    const char *name, *files; /* "tensorflow", "network.pb" */
    bool is_there;
    struct exported net;
    double difference;          /* of its fp32 logits to those of the checked format's, and ... */
    double supernet_difference; /* ... to samples.json; both of the largest logit */
    int strays;                 /* samples whose best output is of no class */
};

struct bundle_check_cfg { /* borrowed */
    const char *bundle;   /* the folder */
    const char *run;      /* whose hold-out images; NULL: the one the bundle lies in */
    int images, threads;
    double loss_max;                     /* in points of accuracy */
    void (*progress)(int done, int all); /* NULL: nobody */
};

struct bundle_check {
    struct bundle_check_cfg cfg;
    struct opened_bundle bundle;
    struct check_format formats[CHECK_FORMATS];
    struct check_format *checked; /* the one the camera's converter is given first */
    struct camera_device device;  /* without a latency model where its file is not found */
    json_t *list;                 /* bundle.json */
    struct check_images images;
    struct divergence divergence;
    int frames;                  /* raw frames with expected outputs... */
    double frame_difference;     /* ...and by how much the checked file's probabilities differ */
    json_t *failures, *warnings; /* sentences */
};

void bundle_check_fini(struct bundle_check *check); /* accepts a zeroed one */

/* As what a device's latency counts it; of a layer without multiply-adds it means nothing. */
enum cost_kind check_cost_kind(const struct exported_layer *layer);
/* What a layer moves to and from memory in fp16: its weights and maps. */
double check_layer_bytes(const struct bundle_check *check, int layer);
/* Predicted from the device's latency model, without its fixed part; NAN: it has none. */
double check_layer_ms(const struct bundle_check *check, int layer);
/* Accuracy on images with a label; NAN: there are none. */
double check_accuracy(const struct bundle_check *check, enum arithmetic arithmetic);

#endif
