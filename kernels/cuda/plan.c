#include "kernels/cuda/host.h"

static cuda_plan_fn *const plans[WORK_KINDS] = {
    [WORK_STEM_FORWARD] = cuda_stem_forward_plan,
    [WORK_STEM_BACKWARD] = cuda_stem_backward_plan,
    [WORK_EXCITE_BACKWARD] = cuda_excite_backward_plan,
    [WORK_DW_FORWARD] = cuda_dw_forward_plan,
    [WORK_DW_BACKWARD] = cuda_dw_backward_plan,
    [WORK_KERNEL_BACKWARD] = cuda_kernel_backward_plan,
    [WORK_LOSS_FORWARD] = cuda_loss_forward_plan,
    [WORK_PW_FORWARD] = cuda_pw_forward_plan,
    [WORK_PW_BACKWARD] = cuda_pw_backward_plan,
};

size_t cuda_plan(const struct work *work, enum precision precision)
{
    return plans[work->kind] ? plans[work->kind](work, precision) : 0;
}

size_t cuda_most_needed(const struct workload *workload, enum precision precision)
{
    size_t most = 0;
    for (size_t i = 0; i < workload->count; i++) {
        size_t needed = cuda_plan(&workload->works[i], precision);
        most = most < needed ? needed : most;
    }
    return most;
}

size_t cuda_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload)
{
    return cuda_most_needed(workload, cfg->precision);
}
