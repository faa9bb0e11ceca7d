/* The supernet: every weight at full size in one flat device array, and one forward and backward
 * pass of any sub-network of it (Cai et al., OFA, ICLR 2020, sec. 3). A sub-network is a prefix:
 * the first C channels of every width, the first D blocks of every stage, the centre of every
 * kernel. No weight is copied to activate one, and its gradient lands in the prefix. One thread at
 * a time; the device does the parallel work. */
#ifndef TRAINER_SUPERNET_SUPERNET_H
#define TRAINER_SUPERNET_SUPERNET_H

#include "base/hash.h"
#include "kernels/device.h"
#include "trainer/spec/subnet.h"
#include <stdatomic.h>

enum param_kind {
    PARAM_CONV,      /* pointwise (K,C) as (K,C,1,1) outside */
    PARAM_STEM,      /* kept (R*R*C,K); outside (K,C,R,R) */
    PARAM_DEPTHWISE, /* kept tap-major (R*R,C); outside (C,1,R,R) */
    PARAM_MATRIX,    /* kernel transform (25,25) or (9,9) */
    PARAM_SE_WEIGHT, /* (K,C) as (K,C,1,1) outside */
    PARAM_LINEAR,    /* (K,C) */
    PARAM_BIAS,      /* (K): squeeze-excite and classifier */
    PARAM_GAMMA,     /* (C) batch norm weight */
    PARAM_BETA       /* (C) batch norm bias */
};

/* What the update treats alike lies together in the flat arrays: one segment each. */
enum segment_kind {
    SEGMENT_WEIGHTS,  /* optimiser.decay */
    SEGMENT_MATRICES, /* kernel matrices; empty in a space without them */
    SEGMENT_NO_DECAY, /* batch norm and biases */
    SEGMENTS
};

struct segment { /* elements of supernet.weights and of every array of its layout */
    size_t offset, count;
};

struct param { /* one trainable tensor, under the reference implementation's name */
    char name[96];
    enum param_kind kind;
    int rank;
    int shape[4];  /* as outside (PyTorch order) */
    size_t offset; /* first element in supernet.weights, inside its segment */
    size_t count;
    enum segment_kind segment;
};

struct norm_slot { /* one batch norm layer at full width */
    char name[96]; /* prefix: "<name>.running_mean", "<name>.weight" */
    int C;
    size_t gamma, beta; /* offsets in weights */
    size_t statistic; /* offset of its mean in supernet.means and variance in supernet.variances */
};

struct supernet {
    const struct space *space; /* borrowed */
    struct device *device;     /* borrowed */
    size_t map_bytes;          /* of an element of its device's maps */
    struct param *params;
    int param_count;
    struct norm_slot *norms;
    int norm_count;
    size_t weight_count;               /* floats in weights */
    struct segment segments[SEGMENTS]; /* one behind the other, weight_count in all */
    size_t statistic_count;
    float *weights;      /* device (weight_count): the masters */
    void *shadow;        /* device: the same in the maps' type, which convolutions read; weights
                            itself where that is fp32 */
    float *means;        /* device (statistic_count): running or calibrated statistics */
    float *variances;    /* device (statistic_count) */
    bool has_statistics; /* false until imported or calibrated; evaluation refuses then */
    struct param_table *param_table; /* which offsets each layer reads;
                                        trainer/supernet/param_table.h, for the pass only */
};

/* Builds the table and allocates zeroed weights. ERR_MEMORY. Returns owned in *net. */
MUST_CHECK enum err supernet_create(const struct space *space, struct device *device,
                                    struct supernet **net);
void supernet_destroy(struct supernet **net); /* accepts NULL */

/* The table and the counts alone, no device and no weights: for whoever works out what a run will
 * take on a device whose maps have elements of map_bytes. Returns owned in *net. */
void supernet_describe(const struct space *space, size_t map_bytes, struct supernet **net);

/* He fan-out for convolutions, U(+-1/sqrt(fan_in)) for linear layers, identity matrices, BN 1 and 0
 * (OFA sec. 4.1 of the reference): a function of seed, parameter and element, independent of
 * everything else. */
void supernet_init_weights(struct supernet *net, uint64_t seed);

const struct param *supernet_find(const struct supernet *net,
                                  const char *name); /* NULL when there is none */
/* One tensor in the outside order and shape (PyTorch's), host memory of param->count floats. `from`
 * and `to` are any device array of the weights' layout: weights, a gradient, the momentum. */
MUST_CHECK enum err supernet_get_param(const struct supernet *net, const float *from,
                                       const struct param *param, float *host);
/* What supernet_get_param does behind the copy: `values` (param->count) from the device's order
 * into the outside's; `room` holds as many. Any thread. */
void supernet_arrange_param(const struct param *param, float *values, float *room);
void supernet_set_param(const struct supernet *net, float *to, const struct param *param,
                        const float *host);
/* Brings the shadow of weights [first, first + count) up to date: for whoever writes net->weights
 * by other ways than supernet_set_* and the update. */
void supernet_cast(const struct supernet *net, size_t first, size_t count);

/* Everything a checkpoint holds of a supernet, one by one under the outside names: the params, then
 * "<norm>.running_mean" and "<norm>.running_var" of each norm. */
struct supernet_tensor {
    char name[112];
    int rank;
    int shape[4];
    size_t count;
    const struct param *param;    /* NULL: a statistic */
    const struct norm_slot *norm; /* NULL: a param */
    bool is_variance;             /* of a statistic */
};
int supernet_tensor_count(const struct supernet *net);
void supernet_tensor_at(const struct supernet *net, int index, struct supernet_tensor *tensor);
MUST_CHECK enum err supernet_get_tensor(const struct supernet *net,
                                        const struct supernet_tensor *tensor, float *host);
/* Does not touch has_statistics: the caller knows whether all of them came. */
void supernet_set_tensor(struct supernet *net, const struct supernet_tensor *tensor,
                         const float *host);

enum pass_mode {
    PASS_TRAIN,      /* batch statistics; keeps what backward needs */
    PASS_BATCH_NORM, /* batch statistics, nothing kept: teacher, and calibration (statistics added
                        to `calibration`) */
    PASS_FIXED       /* stored statistics, nothing kept: evaluation */
};

struct activation_arena; /* the activations of one forward pass: one block of memory, reused for
                            every step */

/* Room for micro-batches of up to N images of up to `resolution` pixels. A pass made for PASS_TRAIN
 * serves every mode, one made for another mode serves the two that keep nothing. ERR_MEMORY.
 * Returns owned. */
MUST_CHECK enum err activation_arena_create(const struct supernet *net, int N, int resolution,
                                            enum pass_mode mode, struct activation_arena **arena);
void activation_arena_destroy(struct activation_arena **arena); /* accepts NULL */

struct activation_room { /* the most a pass is made for: see activation_arena_create() */
    int N, resolution;
    enum pass_mode mode;
};
/* Two passes in one block of memory that is as large as the larger of them needs: a forward in one
 * ends what the other holds (its logits, its maps). Each is destroyed by itself, in any order; the
 * last frees the block. ERR_MEMORY: neither is made. Returns both owned. */
MUST_CHECK enum err activation_arena_create_shared(const struct supernet *net,
                                                   const struct activation_room rooms[2],
                                                   struct activation_arena *passes[2]);
/* Bytes of device memory that a pass of this room holds. Allocates none; net may be described only.
 */
size_t activation_room_bytes(const struct supernet *net, const struct activation_room *room);

/* A shadow of any array of the weights' layout: made, and brought up to date. Returns owned, or
 * `weights` where the maps' type is fp32. ERR_MEMORY. */
MUST_CHECK enum err shadow_create(const struct supernet *net, float *weights, void **shadow);
void shadow_destroy(const struct supernet *net, const float *weights,
                    void *shadow); /* accepts NULL */

/* What a flaw's word says (struct flaw): whose pass it was, as the caller numbered it in the bits
 * above FLAW_PASS_SHIFT, and which layer of it. */
enum { FLAW_LAYER_SHIFT = 32, FLAW_LAYER_MASK = (1 << 10) - 1, FLAW_PASS_SHIFT = 42 };
struct flaw supernet_flaw(const struct flaw *of, int layer); /* the loss: norm_count + 2 */
const char *supernet_flaw_name(const struct supernet *net, uint64_t word);

struct forward {
    const struct subnet *subnet; /* borrowed; resolution is that of the images */
    const float *weights;        /* device: net->weights, or a copy of their layout (a teacher) */
    const void *shadow;          /* of weights; NULL: they are in the maps' type themselves */
    const void *images;          /* device map (N,R,R,channels), normalised */
    int N;
    enum pass_mode mode;
    float dropout;        /* 0: off. Only PASS_TRAIN */
    uint64_t seed, step;  /* of the dropout masks */
    uint64_t first_image; /* image 0's index in the global batch: whoever computes it, same mask */
    /* Added to, or NULL; untouched with PASS_FIXED, which takes no sums. Per active channel c of a
     * norm: calibration[slot.statistic + c] += sum z,
     * calibration[statistic_count + slot.statistic + c] += sum z^2 (device, 2 * statistic_count),
     * and calibration_counts[norm] += elements per channel (host, norm_count). */
    double *calibration;
    double *calibration_counts;
    atomic_ullong *moved; /* counts the blocks, for whoever watches; NULL: nobody does */
    struct flaw flaw; /* the first layer whose output is not finite; PASS_FIXED takes no sums: there
                         only the logits are looked at */
};

/* logits: device (N,classes), inside the pass, valid until its next forward. ERR_CONFIG for a
 * sub-network that is not of the space or larger than the pass; ERR_DATA when PASS_FIXED and there
 * are no statistics. */
MUST_CHECK enum err supernet_forward(struct supernet *net, struct activation_arena *arena,
                                     const struct forward *forward, const float **logits);

/* After a PASS_TRAIN forward: gradients are added to gradient (device, weight_count floats).
 * dlogits (N,classes). */
void supernet_backward(struct supernet *net, struct activation_arena *arena,
                       const struct forward *forward, const float *dlogits, float *gradient);

/* Bytes of device memory a pass holds, those it shares included. */
size_t activation_arena_size_bytes(const struct activation_arena *arena);

/* Sorts the middle channels of every block by the L1 norm of the projecting convolution's columns,
 * biggest first. `trained` are the expansions that were trained before; their widths are borders
 * that no channel crosses: with {6} all channels are sorted, with {4,6} those of the 4-fold width
 * and those beyond it apart, so that 4-fold sub-networks stay what they are. But for
 * squeeze-excite, whose hidden units the reference sorts without borders: they have the borders of
 * `given`, the expansions a given teacher came with, whose sub-networks stay what they are to the
 * last unit. Momentum (same layout; may be NULL) and statistics are permuted alike. The function of
 * the full network is unchanged. OFA sec. 3.3. */
MUST_CHECK enum err supernet_sort_channels(struct supernet *net, float *momentum,
                                           const struct choices *trained,
                                           const struct choices *given);

#endif
