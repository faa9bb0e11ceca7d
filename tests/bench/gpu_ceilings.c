#include "tests/bench/gpu_ceilings.h"
#include "base/yaml/schema.h"

#define FIELD(field) KNOB_FIELD(gpu_ceilings, field)

static const struct knob knobs[] = {
    {"name", KNOB_TEXT, FIELD(name), .help = "of the card"},
    {"fp32", KNOB_REAL, FIELD(fp32), .low = 1e-3, .high = 1e6,
     .help = "TFLOP/s of multiply-adds in fp32"},
    {"bf16", KNOB_REAL, FIELD(bf16), .low = 1e-3, .high = 1e6,
     .help = "TFLOP/s of products of bf16 on tensor cores"},
    {"copy", KNOB_REAL, FIELD(copy), .low = 1e-3, .high = 1e6,
     .help = "GB/s of device memory, read and written together"},
    {"source", KNOB_TEXT, FIELD(source), .help = "who says so"},
};
static const struct schema schema = {knobs, sizeof knobs / sizeof *knobs,
                                     sizeof(struct gpu_ceilings)};

enum err gpu_ceilings_read(const char *file, struct gpu_ceilings *gpu)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    struct yaml_errors *errors = yaml_errors_create();
    TRY(yaml_open(file, &yaml));
    schema_fill(&schema, yaml_root(yaml), errors, gpu);
    TRY(yaml_errors_end(errors));
out:
    yaml_errors_destroy(errors);
    yaml_close(&yaml);
    return err;
}

struct ceilings gpu_ceilings_rates(const struct gpu_ceilings *gpu)
{
    return (struct ceilings){.fma = 0.5e12 * gpu->fp32,
                             .bf16 = 0.5e12 * gpu->bf16,
                             .has_bf16 = true,
                             .read = 1e9 * gpu->copy,
                             .write = 1e9 * gpu->copy};
}
