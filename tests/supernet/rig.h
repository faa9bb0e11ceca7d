/* A supernet on a device (the CPU's, or what the environment names: tests/support/test_device.h)
 * with everything a test needs around it. Failures inside end the test.
 */
#ifndef TESTS_SUPERNET_RIG_H
#define TESTS_SUPERNET_RIG_H

#include "trainer/supernet/supernet.h"
#include <stdbool.h>

struct rig {
    struct device *device;
    struct space space;
    struct supernet *net;
    struct activation_arena *arena;
    int N, resolution;
    void *images;    /* device map (N,R,R,channels) */
    float *dlogits;  /* device (N,classes) */
    float *gradient; /* device (weight_count) */
    int32_t *labels; /* device (N) */
    double *sums;    /* device (LOSS_SUMS) */
    uint64_t *flaw;  /* device: a word for whoever asks for flaws */
};

/* Fails the test with the error's text unless err is ERR_OK. */
void must(enum err err);

/* A space of configs/spaces with 10 classes. */
struct space rig_space(const char *file, int channels);

/* Copies the space. Weights are supernet_init_weights(seed), then every tensor
 * is stirred a little so that no gamma is 1 and no beta is 0. Images and labels are random. */
void rig_open(struct rig *rig, const struct space *space, int N, int resolution, int threads);
/* The same on a pinned instruction set; false when this machine has not got it. */
bool rig_open_isa(struct rig *rig, const struct space *space, int N, int resolution,
                  const struct device_cfg *cfg);
void rig_close(struct rig *rig);

/* rig->images = `count` host floats, as its maps hold them. */
void rig_set_images(struct rig *rig, const float *host, size_t count);

int32_t rig_label(int n); /* of the rig's image n */

/* host[i] += scale * uniform(-1, 1) */
void stir(float *host, size_t count, double scale, uint64_t seed, uint64_t tensor);

struct forward rig_forward(const struct rig *rig, const struct subnet *subnet, enum pass_mode mode);
/* Runs and downloads the logits: (N,classes), mem_free. */
float *rig_logits(struct rig *rig, const struct forward *forward);
/* Training forward, loss (smoothed labels, mean over the batch) and backward into a zeroed
 * rig->gradient. Returns the loss. */
double rig_step(struct rig *rig, const struct forward *forward);
/* The layer that rig->flaw names, or NULL; forgets it. */
const char *rig_flaw(struct rig *rig);
/* A param's part of rig->gradient in the outside order: mem_free. */
float *rig_gradient(const struct rig *rig, const struct param *param);

double largest(const float *x, size_t count);                  /* largest |x| */
double distance(const float *x, const float *y, size_t count); /* largest |x - y| */

#endif
