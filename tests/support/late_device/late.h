/* The device "late": what holds every caller to kernels/device.h on any machine. It has the CPU
 * device's operations and results, but
 *
 *   - its memory lies behind handles: addresses in a range that nobody can read or write.
 * Operations see the same blocks elsewhere (memory.c). A block that was freed is gone for good: its
 * handle comes never again, its pages are taken away;
 *   - operations wait in a queue with copies of all their arguments, until somebody waits for them
 *     or the queue is long; a thread of the device runs them then (queue.c);
 *   - a pointer that does not lie in a live block ends the process with the names of the operation
 *     and the argument (arguments.c);
 *   - asynchronous copies want pinned memory and touch it when they run: until then what a download
 *     will write is filled with ones, NaNs to whoever reads it too early.
 *
 * Its lineage is the CPU device's: it computes the same bits, and a run on it ends with the same
 * hashes. To add an operation: one OPERATION() and one function in operations.c, and a
 * late_keep_*() in arguments.c where it has a struct of its own. */
#ifndef TESTS_SUPPORT_LATE_DEVICE_LATE_H
#define TESTS_SUPPORT_LATE_DEVICE_LATE_H

#include "kernels/device.h"
#include <pthread.h>

/* Ends the process: "late device: OPERATION: ...". */
_Noreturn void late_refuse(const char *operation, const char *format, ...) PRINTF_LIKE(2, 3);

/* memory.c. Callers hold the device's lock. */
struct late_memory;
enum err late_memory_create(struct late_memory **memory);
void late_memory_destroy(struct late_memory **memory); /* accepts NULL */
/* Zeroed; *handle is what the host sees. */
enum err late_memory_alloc(struct late_memory *memory, size_t size_bytes, void **handle);
/* Where the handle's memory is for operations, and how much of the live block is left from there;
 * NULL: it lies in no live block. */
void *late_memory_find(struct late_memory *memory, const void *handle, size_t *left_bytes);
/* From now on no new operation may name the block; false: it is no live block's first address. */
bool late_memory_retire(struct late_memory *memory, const void *handle);
void late_memory_drop(struct late_memory *memory,
                      const void *handle); /* nothing uses it any more */
enum err late_memory_pin(struct late_memory *memory, size_t size_bytes, void **host);
/* The queued copies that use the pinned block which holds all of these bytes; NULL: there is none.
 */
int *late_memory_uses(struct late_memory *memory, const void *host, size_t size_bytes);
void late_memory_unpin(struct late_memory *memory, void *host);

/* queue.c */
struct piece; /* a kept copy, with what belongs to the same order */

struct order { /* one operation in the queue */
    struct order *next;
    struct late *late;
    const char *operation;
    void (*run)(struct device *cpu, const void *arguments);
    const void *arguments;
    struct piece *pieces;
    int *uses;        /* of the pinned block that it copies from or to; NULL: none */
    const void *gone; /* the block it frees; NULL: none */
};

struct late {
    struct device face;
    struct device *cpu; /* runs the operations; owned */
    struct event
        *passed; /* of the CPU device: who waits for it hears what operations left; owned */
    struct late_memory *memory;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, memory too */
    pthread_cond_t wanted_more, finished_more;
    struct order *first, **last;
    uint64_t queued, finished, wanted; /* orders since the start; wanted: to be run by now */
    bool is_stopping;
};

enum err late_queue_create(struct late *late);
void late_queue_destroy(struct late *late); /* runs what is left */
/* An order in the making. The arguments it keeps are copies, with device pointers translated. */
struct order *late_begin(struct device *device, const char *operation,
                         void (*run)(struct device *cpu, const void *arguments));
void *late_keep(struct order *order, const void *bytes, size_t size_bytes);
/* Queues it with a copy of these arguments; takes it. */
void late_end(struct order *order, const void *arguments, size_t size_bytes);
uint64_t late_queued(struct late *late);               /* orders so far */
void late_run_until(struct late *late, uint64_t mark); /* runs that many orders; any thread */

/* arguments.c. Every one translates device pointers; `argument` is its name for messages. NULL
 * stays NULL. */
void *late_keep_pointer(struct order *order, const char *argument, const void *handle);
/* The same, and so many bytes from there must lie in the block. */
void *late_keep_range(struct order *order, const char *argument, const void *handle,
                      size_t size_bytes);
const struct image_batch *late_keep_image_batch(struct order *order,
                                                const struct image_batch *batch);
const struct conv *late_keep_conv(struct order *order, const struct conv *conv);
struct view late_keep_view(struct order *order, const char *argument, struct view view);
const struct grad *late_keep_grad(struct order *order, const struct grad *grad);
const struct norm_forward *late_keep_norm_forward(struct order *order,
                                                  const struct norm_forward *norm);
const struct norm_backward *late_keep_norm_backward(struct order *order,
                                                    const struct norm_backward *norm);
const struct grad_sink *late_keep_sink(struct order *order, const struct grad_sink *sink);
const struct squeeze_excite *late_keep_squeeze_excite(struct order *order,
                                                      const struct squeeze_excite *weights);
const struct excitation *late_keep_excitation(struct order *order, const struct excitation *out);
const struct excitation_grad *late_keep_excitation_grad(struct order *order,
                                                        const struct excitation_grad *grad);
const struct pool_grad *late_keep_pool_grad(struct order *order, const struct pool_grad *grad);
const struct kernel_transform *late_keep_transforms(struct order *order, int count,
                                                    const struct kernel_transform *transforms);
const struct kernel_gradient *late_keep_gradients(struct order *order, int count,
                                                  const struct kernel_gradient *gradients);
const struct loss *late_keep_loss(struct order *order, const struct loss *loss);
const struct sgd *late_keep_sgd(struct order *order, const struct sgd *sgd);
struct flaw late_keep_flaw(struct order *order, struct flaw flaw);

/* copies.c: memory, copies and events; operations.c: everything else. */
enum err late_prepare(struct device *device, const struct workload *workload);
enum err late_alloc(struct device *device, size_t size_bytes, void **memory);
void late_free(struct device *device, void *memory);
enum err late_pin(struct device *device, size_t size_bytes, void **host);
void late_unpin(struct device *device, void *host);
void late_upload(struct device *device, void *to, const void *host, size_t size_bytes);
void late_upload_async(struct device *device, void *to, const void *host, size_t size_bytes);
void late_download_async(struct device *device, void *host, const void *from, size_t size_bytes);
enum err late_download(struct device *device, void *host, const void *from, size_t size_bytes);
enum err late_sync(struct device *device);
enum err late_event_create(struct device *device, struct event **event);
void late_event_destroy(struct device *device, struct event *event);
void late_event_record(struct device *device, struct event *event);
enum err late_event_wait(struct device *device, struct event *event);
void late_close(struct device *device);

extern const struct device_ops late_ops; /* operations.c */

#endif
