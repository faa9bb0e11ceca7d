/* What a device is going to be asked for: the shapes of operations of struct device_ops, for its
 * `prepare`. Plain host data, no tensor and no device in it; each shape is held once. An operation
 * that has no kind here (the update, folds, copies, casts) works on what it is given and needs no
 * scratch on any device. One thread at a time. */
#ifndef KERNELS_WORKLOAD_H
#define KERNELS_WORKLOAD_H

#include "kernels/device.h"

enum work_kind { /* operations of struct device_ops, by their names */
                 WORK_IMAGE_FORWARD,
                 WORK_STEM_FORWARD,
                 WORK_STEM_BACKWARD,
                 WORK_PW_FORWARD,
                 WORK_PW_BACKWARD,
                 WORK_DW_FORWARD,
                 WORK_DW_BACKWARD,
                 WORK_RESIDUAL_FORWARD,
                 WORK_POOL_FORWARD,
                 WORK_POOL_BACKWARD,
                 WORK_EXCITE_FORWARD,
                 WORK_EXCITE_BACKWARD,
                 WORK_LINEAR_FORWARD,
                 WORK_LINEAR_BACKWARD,
                 WORK_KERNEL_FORWARD,
                 WORK_KERNEL_BACKWARD,
                 WORK_DROPOUT_MASK,
                 WORK_LOSS_FORWARD,
                 WORK_FIND_NONFINITE,
                 WORK_KINDS
};

/* One operation with whatever optional arguments it has (a norm, a sink, sums). What a kind does
 * not name is 0. */
struct work {
    enum work_kind kind;
    /* Convolutions and linear layers: as the operation gets it. image_forward: in (N,R,R,C), the
     * map it makes. residual, pool, excite: in, their map. kernel_*: in.C, R and ld of one of the
     * call's kernels. dropout_mask: in.N, in.C. loss_forward: in.N, K. */
    struct conv conv;
    int Cr;       /* excite_*: hidden channels */
    int width;    /* image_forward: of the widest crop, pixels */
    size_t count; /* find_nonfinite: elements; kernel_*: kernels of the call */
};

struct workload {       /* zeroed: empty */
    struct work *works; /* (count), no two the same; read by whoever prepares */
    size_t count, room;
    uint32_t *slots; /* (slot_count) where a work lies, by its hash, + 1; 0: free */
    size_t slot_count;
};

/* Adds a copy, unless the same work is there already. */
void workload_add(struct workload *workload, const struct work *work);
void workload_fini(struct workload *workload); /* accepts a zeroed one, leaves it so */

/* "pw_forward of 64x28x28, 24 to 144 channels, kernel 1, stride 1", for messages. */
void work_describe(const struct work *work, char *text, size_t size_bytes);

#endif
