#include "kernels/cpu/ops.h"

const struct device_ops ISA_NAME(ops) = {
    .name = "cpu",
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_upload,
    .download = cpu_download,
    .zero = cpu_zero,
    .sync = cpu_sync,
    .close = cpu_close,
};
