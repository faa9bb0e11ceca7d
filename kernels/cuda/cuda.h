/* The CUDA device from the host's side: what opens, holds and waits (C files), and what launches
 * (the last storey of each .cu file). One stream for operations, in their order; one for long
 * copies to the card, ordered with it by events. */
#ifndef KERNELS_CUDA_CUDA_H
#define KERNELS_CUDA_CUDA_H

#include "kernels/cuda/border.h"
#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CUDA_TICKETS = 4096,
    /* That a block may have: what kernels are cut for, one of these two. Capability 8.0, 8.7, and
     * 9.0 to 11 have as much as the first and more, 8.6, 8.9 and 12 the second. */
    CUDA_SHARED_BYTES = 163 << 10,
    CUDA_LITTLE_SHARED_BYTES = 99 << 10
};

struct cuda_uploads; /* uploads.c */

struct cuda {
    struct device face; /* first */
    enum precision precision;
    int ordinal;         /* of the card among those that this process sees */
    size_t shared_bytes; /* of its blocks: CUDA_SHARED_BYTES, CUDA_LITTLE_SHARED_BYTES */
    cudaStream_t stream, copies;
    struct cuda_uploads *uploads;
    void *scratch; /* device; of one operation at a time, in stream order */
    size_t scratch_bytes;
    bool is_prepared;
    unsigned *tickets; /* device, (CUDA_TICKETS) zeros: last_block.cuh; whoever uses some leaves
                          zeros */
    enum err err;      /* what was left, by an operation or by the watchdog over exchanges, with its
                          text; ERR_OK: nothing was */
    char trouble[512];
    bool is_troubled, is_told; /* somebody has begun to leave it; who calls operations knows */
};

/* Its card becomes the one that this thread calls. */
struct cuda *cuda_of(struct device *device);

/* Scratch for this operation, 256-aligned, not initialised, until the next operation is called.
 * NULL: more than was prepared; the error is left, and the operation returns. size_bytes 0 gives
 * something that is not NULL. */
void *cuda_scratch(struct cuda *cuda, const struct work *work, size_t size_bytes);
/* Leaves the error that sticks, where `error` is one: "NAME: what CUDA says". */
void cuda_note(struct cuda *cuda, const char *name, cudaError_t error);

/* What an operation of this work needs of cuda_scratch(). plan.c has the table, of one function
 * beside each operation that needs any, which asks it, too: cuda_NAME_plan, declared here. */
typedef size_t cuda_plan_fn(const struct work *work, enum precision precision);
cuda_plan_fn cuda_plan;
cuda_plan_fn cuda_stem_forward_plan, cuda_stem_backward_plan, cuda_excite_backward_plan;
cuda_plan_fn cuda_dw_forward_plan, cuda_dw_backward_plan, cuda_kernel_backward_plan;
cuda_plan_fn cuda_loss_forward_plan;
cuda_plan_fn cuda_pw_forward_plan, cuda_pw_backward_plan;

/* The operations; comments in kernels/device.h. */
#define CUDA_OPERATION(name) __typeof__(*((struct device_ops *)0)->name) cuda_##name
CUDA_OPERATION(image_forward);
CUDA_OPERATION(stem_forward);
CUDA_OPERATION(stem_backward);
CUDA_OPERATION(pw_forward);
CUDA_OPERATION(pw_backward);
CUDA_OPERATION(dw_forward);
CUDA_OPERATION(dw_backward);
CUDA_OPERATION(residual_forward);
CUDA_OPERATION(pool_forward);
CUDA_OPERATION(pool_backward);
CUDA_OPERATION(excite_forward);
CUDA_OPERATION(excite_backward);
CUDA_OPERATION(linear_forward);
CUDA_OPERATION(linear_backward);
CUDA_OPERATION(kernel_forward);
CUDA_OPERATION(kernel_backward);
CUDA_OPERATION(dropout_mask);
CUDA_OPERATION(loss_forward);
CUDA_OPERATION(sgd_step);
CUDA_OPERATION(fold);
CUDA_OPERATION(fold_doubles);
CUDA_OPERATION(cast);
CUDA_OPERATION(find_nonfinite);
CUDA_OPERATION(set_word);
/* Those that launch no kernel. */
CUDA_OPERATION(prepare);
CUDA_OPERATION(zero);
CUDA_OPERATION(fill_nan);
CUDA_OPERATION(copy);
CUDA_OPERATION(alloc);
CUDA_OPERATION(free);
CUDA_OPERATION(pin);
CUDA_OPERATION(unpin);
CUDA_OPERATION(upload);
CUDA_OPERATION(upload_async);
CUDA_OPERATION(download_async);
CUDA_OPERATION(download);
CUDA_OPERATION(sync);
CUDA_OPERATION(event_create);
CUDA_OPERATION(event_destroy);
CUDA_OPERATION(event_record);
CUDA_OPERATION(event_wait);
CUDA_OPERATION(close);
#undef CUDA_OPERATION

#ifdef __cplusplus
}
#endif
#endif
