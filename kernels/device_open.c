#include "kernels/cpu/cpu.h"
#include "kernels/device.h"
#include "kernels/device_module.h"
#include <string.h>

struct dims conv_out(const struct conv *conv)
{
    return (struct dims){conv->in.N, pad_out(conv->in.H, conv->S), pad_out(conv->in.W, conv->S),
                         conv->K};
}

bool device_is_host(const char *name)
{
    return strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0;
}

enum err device_open(const struct device_cfg *cfg, struct device **device)
{
    if (device_is_host(cfg->name))
        return cpu_open(cfg, device);
    return device_module_open(cfg, device);
}

enum isa device_isa(const struct device_cfg *cfg)
{
    return device_is_host(cfg->name) ? cpu_isa(cfg) : ISA_AUTO;
}

void device_close(struct device **device)
{
    if (!device || !*device)
        return;
    (*device)->ops->close(*device);
    *device = NULL;
}

size_t device_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload)
{
    return device_is_host(cfg->name) ? cpu_scratch_bytes(cfg, workload)
                                     : device_module_scratch_bytes(cfg, workload);
}

size_t precision_map_bytes(enum precision precision)
{
    return precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
}

enum err precision_parse(const char *name, enum precision *precision)
{
    static const char *const names[] = {"fp32", "bf16"};
    for (int i = 0; i < 2; i++) {
        if (strcmp(name, names[i]) == 0) {
            *precision = (enum precision)i;
            return ERR_OK;
        }
    }
    return err_set(ERR_CONFIG, "precision \"%s\" is neither fp32 nor bf16", name);
}

static const char *const isa_names[] = {"auto", "x86-64-v2", "x86-64-v3", "x86-64-v4",
                                        "x86-64-v4-bf16"};

const char *isa_name(enum isa isa)
{
    return isa_names[isa];
}

enum err isa_parse(const char *name, enum isa *isa)
{
    for (int i = 0; i < 5; i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (enum isa)i;
            return ERR_OK;
        }
    }
    return err_set(ERR_CONFIG,
                   "isa \"%s\" is none of auto, x86-64-v2, x86-64-v3, x86-64-v4, "
                   "x86-64-v4-bf16",
                   name);
}
