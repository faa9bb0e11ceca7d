#include "kernels/cpu/ops.h"

const struct device_ops MAP_NAME(ops) = {
    .name = "cpu",
    .prepare = cpu_prepare,
    .image_forward = MAP_NAME(image_forward),
    .stem_forward = MAP_NAME(stem_forward),
    .stem_backward = MAP_NAME(stem_backward),
    .dw_forward = MAP_NAME(dw_forward),
    .dw_backward = MAP_NAME(dw_backward),
    .residual_forward = MAP_NAME(residual_forward),
    .pw_forward = MAP_NAME(pw_forward),
    .pw_backward = MAP_NAME(pw_backward),
    .pool_forward = MAP_NAME(pool_forward),
    .pool_backward = MAP_NAME(pool_backward),
    .excite_forward = MAP_NAME(excite_forward),
    .excite_backward = ISA_NAME(excite_backward),
    .linear_forward = ISA_NAME(linear_forward),
    .linear_backward = ISA_NAME(linear_backward),
    .kernel_forward = MAP_NAME(kernel_forward),
    .kernel_backward = MAP_NAME(kernel_backward),
    .dropout_mask = ISA_NAME(dropout_mask),
    .loss_forward = ISA_NAME(loss_forward),
    .sgd_step = MAP_NAME(sgd_step),
    .fold = ISA_NAME(fold),
    .fold_doubles = ISA_NAME(fold_doubles),
    .find_nonfinite = ISA_NAME(find_nonfinite),
    .zero = cpu_zero,
    .fill_nan = cpu_fill_nan,
    .copy = cpu_copy,
    .cast = MAP_NAME(cast),
    .set_word = cpu_set_word,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .pin = cpu_alloc,
    .unpin = cpu_free,
    .upload = cpu_upload,
    .upload_async = cpu_upload,
    .download_async = cpu_download_async,
    .download = cpu_download,
    .sync = cpu_sync,
    .event_create = cpu_event_create,
    .event_destroy = cpu_event_destroy,
    .event_record = cpu_event_record,
    .event_wait = cpu_event_wait,
    .close = cpu_close,
};

typedef struct cpu_need need_fn(const struct work *work);
static need_fn *const needs[WORK_KINDS] = {
    [WORK_IMAGE_FORWARD] = MAP_NAME(image_forward_need),
    [WORK_STEM_FORWARD] = MAP_NAME(stem_forward_need),
    [WORK_STEM_BACKWARD] = MAP_NAME(stem_backward_need),
    [WORK_PW_FORWARD] = MAP_NAME(pw_forward_need),
    [WORK_PW_BACKWARD] = MAP_NAME(pw_backward_need),
    [WORK_DW_FORWARD] = MAP_NAME(dw_forward_need),
    [WORK_DW_BACKWARD] = MAP_NAME(dw_backward_need),
    [WORK_RESIDUAL_FORWARD] = MAP_NAME(residual_forward_need),
    [WORK_POOL_FORWARD] = MAP_NAME(pool_forward_need),
    [WORK_EXCITE_FORWARD] = MAP_NAME(excite_forward_need),
    [WORK_EXCITE_BACKWARD] = ISA_NAME(excite_backward_need),
    [WORK_LINEAR_FORWARD] = ISA_NAME(linear_need),
    [WORK_LINEAR_BACKWARD] = ISA_NAME(linear_need),
    [WORK_KERNEL_FORWARD] = MAP_NAME(kernel_need),
    [WORK_KERNEL_BACKWARD] = MAP_NAME(kernel_need),
    [WORK_LOSS_FORWARD] = ISA_NAME(loss_forward_need),
    [WORK_FIND_NONFINITE] = ISA_NAME(find_nonfinite_need),
};

struct cpu_need MAP_NAME(most_needed)(const struct workload *workload)
{
    struct cpu_need most = {0};
    for (size_t i = 0; i < workload->count; i++) {
        const struct work *work = &workload->works[i];
        if (needs[work->kind])
            most = cpu_need_most(most, needs[work->kind](work));
    }
    return most;
}
