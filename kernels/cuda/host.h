/* What the C files of this device share: how CUDA's codes become ours. */
#ifndef KERNELS_CUDA_HOST_H
#define KERNELS_CUDA_HOST_H

#include "kernels/cuda/cuda.h"

/* enum err of a call of the runtime, with its text: "cudaMalloc(...): out of memory". */
#define CUDA(call) cuda_error((call), #call)
MUST_CHECK enum err cuda_error(cudaError_t error, const char *call);
/* The code alone. ERR_UNAVAILABLE: the card, its driver or its context is lost; ERR_MEMORY: there
 * is none; else ERR_FAILED. */
enum err cuda_code(cudaError_t error);

/* The error that was left, with its text, for the thread that calls operations; ERR_OK: none. */
MUST_CHECK enum err cuda_left(struct cuda *cuda);
/* Whether that thread has been returned an error by it. Any thread. */
bool cuda_is_told(const struct cuda *cuda);
/* The same as cuda_left() for any thread: nobody counts as told, for who calls operations may still
 * wait in the card. */
MUST_CHECK enum err cuda_peek(const struct cuda *cuda);
/* Leaves this one, unless there is one. Any thread. */
void cuda_leave(struct cuda *cuda, enum err code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Waits for what was queued, then the same as cuda_left(). */
MUST_CHECK enum err cuda_drain(struct cuda *cuda);

/* `size_bytes` of the card, not initialised. ERR_MEMORY: what was asked for, what is free, and of
 * how much. */
MUST_CHECK enum err cuda_take(struct cuda *cuda, size_t size_bytes, void **memory);

/* What uploads go through, on both sides of the bus. */
MUST_CHECK enum err cuda_uploads_create(struct cuda_uploads **uploads);
void cuda_uploads_destroy(struct cuda_uploads **uploads); /* accepts a pointer to NULL; sets NULL */
/* A download_async() was queued: whatever is uploaded next may be what it wrote. */
void cuda_uploads_follow_download(struct cuda *cuda);

/* The largest of what these works need of cuda_scratch(). */
size_t cuda_most_needed(const struct workload *workload, enum precision precision);

extern const struct device_ops cuda_ops;
/* What the module offers (kernels/device_module.h). */
MUST_CHECK enum err cuda_open(const struct device_cfg *cfg, struct device **device);
MUST_CHECK enum err cuda_cards(struct device_cards *cards);
size_t cuda_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload);

#endif
