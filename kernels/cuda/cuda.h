/* The CUDA device from the host's side: what opens, holds and waits (C files), and what launches
 * (the last storey of each .cu file). One stream for operations, in their order; one for copies,
 * ordered with it by events. */
#ifndef KERNELS_CUDA_CUDA_H
#define KERNELS_CUDA_CUDA_H

#include "kernels/device_module.h"
#include "kernels/workload.h"
#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_TICKETS = 4096 };

struct cuda {
    struct device face; /* first */
    enum precision precision;
    int ordinal; /* of the card among those that this process sees */
    cudaStream_t stream, copies;
    void *scratch; /* device; of one operation at a time, in stream order */
    size_t scratch_bytes;
    bool is_prepared;
    unsigned *tickets; /* device, (CUDA_TICKETS) zeros: last_block.cuh; whoever uses some leaves
                          zeros */
    enum err err;      /* what an operation left, with its text; ERR_OK: none */
    char trouble[512];
};

struct cuda *cuda_of(struct device *device);

/* Scratch for this operation, 256-aligned, not initialised, until the next operation is called.
 * NULL: more than was prepared; the error is left, and the operation returns. size_bytes 0 gives
 * something that is not NULL. */
void *cuda_scratch(struct cuda *cuda, const struct work *work, size_t size_bytes);
/* Leaves the error that sticks, where `error` is one: "NAME: what CUDA says". */
void cuda_note(struct cuda *cuda, const char *name, cudaError_t error);

/* What an operation of this work needs of cuda_scratch(): for `prepare`, for plans, for itself. One
 * beside each operation that needs any; plan.c has the table. */
size_t cuda_plan(const struct work *work, enum precision precision);

/* The operations, each in the .cu file of its name; comments in kernels/device.h. */
#define CUDA_OPERATION(name) extern __typeof__(*((struct device_ops *)0)->name) cuda_##name

#ifdef __cplusplus
}
#endif
#endif
