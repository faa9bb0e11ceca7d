/* Devices: their file, their latency, and what of a space they can run; what fits a target. */
#include "trainer/spec/target.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "trainer/spec/cost.h"
#include "trainer/spec/lookup.h"
#include <string.h>

static const struct knob device_knobs[] = {
    {"device", KNOB_TEXT, KNOB_FIELD(camera_device, name), .help = "name of the device"},
    {"latency.fixed_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_fixed_ms), .low = 0,
     .high = 1e6, .unit = UNIT_MS, .help = "time of a network of no size"},
    {"latency.per_mmac_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_ms_per_mmac), .low = 0,
     .high = 1e6, .unit = UNIT_MS, .help = "time added by a million MACs"},
    {"kernels", KNOB_INTS, KNOB_LIST(camera_device, kernels.value, kernels.count), .fallback = "[]",
     .low = 3, .high = 7, .help = "depthwise kernel sides it runs; empty: all"},
    {"squeeze_excite", KNOB_BOOL, KNOB_FIELD(camera_device, allows_se), .fallback = "yes",
     .help = "its converter takes squeeze-excite"},
    {"hswish", KNOB_BOOL, KNOB_FIELD(camera_device, allows_hswish), .fallback = "yes",
     .help = "its converter takes h-swish"},
    {"channel_multiple", KNOB_INT, KNOB_FIELD(camera_device, channel_multiple), .fallback = "1",
     .low = 1, .high = 1024, .help = "every number of channels must divide by it"},
};
static const struct schema device_schema = {
    device_knobs, sizeof device_knobs / sizeof *device_knobs, sizeof(struct camera_device)};

enum err camera_device_load(const char *name_or_path, struct camera_device *device)
{
    enum err err = ERR_OK;
    char path[1024];
    struct yaml *yaml = NULL;
    struct yaml_errors *errors = yaml_errors_create();
    struct camera_device made;
    TRY(lookup_find(name_or_path, "devices", NULL, path, sizeof path));
    TRY(yaml_open(path, &yaml));
    schema_fill(&device_schema, yaml_root(yaml), errors, &made);
    TRY(yaml_errors_end(errors));
    *device = made;
out:
    yaml_errors_destroy(errors);
    yaml_close(&yaml);
    return err;
}

void camera_device_any(struct camera_device *device)
{
    *device = (struct camera_device){
        .name = "any", .allows_se = true, .allows_hswish = true, .channel_multiple = 1};
}

bool camera_device_has_latency(const struct camera_device *device)
{
    return device->latency_fixed_ms > 0 || device->latency_ms_per_mmac > 0;
}

double camera_device_latency_ms(const struct camera_device *device, double macs)
{
    return device->latency_fixed_ms + device->latency_ms_per_mmac * macs / 1e6;
}

/* Keeps the values of `choices` for which keep[] is set. */
static void keep_choices(struct choices *choices, const bool *keep)
{
    int count = 0;
    for (int i = 0; i < choices->count; i++)
        if (keep[i])
            choices->value[count++] = choices->value[i];
    choices->count = count;
}

/* The first width outside the blocks' middles that does not divide, or 0. */
static int find_odd_width(const struct space *space, int multiple)
{
    const int widths[] = {space->stem_width, space->first_width, space->expand_width,
                          space->mix_width};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (widths[i] % multiple != 0)
            return widths[i];
    for (int i = 0; i < space->stage_count; i++)
        if (space->stages[i].width % multiple != 0)
            return space->stages[i].width;
    return 0;
}

static enum err check_fixed_parts(const struct camera_device *device, const struct space *space)
{
    for (int i = 0; i < space->stage_count; i++)
        if (space->stages[i].has_se && !device->allows_se)
            return err_set(
                ERR_CONFIG,
                "device %s does not take squeeze-excite, which stage %d of space %s has; "
                "use a space without it, such as firefly",
                device->name, i + 1, space->name);
    if (space_acts(space) & 1u << ACT_HSWISH && !device->allows_hswish)
        return err_set(ERR_CONFIG,
                       "device %s does not take h-swish, which space %s uses; use a space of relu "
                       "or relu6, such as firefly",
                       device->name, space->name);
    int odd = find_odd_width(space, device->channel_multiple);
    if (odd)
        return err_set(ERR_CONFIG,
                       "device %s needs channels in multiples of %d; space %s has a layer of %d",
                       device->name, device->channel_multiple, space->name, odd);
    return ERR_OK;
}

static bool expansion_divides(const struct space *space, int expansion, int multiple)
{
    for (int i = 0; i < space->block_count; i++)
        if (space_middle(&space->blocks[i], expansion) % multiple != 0)
            return false;
    return true;
}

enum err camera_device_narrow(const struct camera_device *device, const struct space *space,
                              struct open_choices *open)
{
    enum err err = ERR_OK;
    struct open_choices narrow = *open;
    bool keep[SPACE_MAX_CHOICES];
    TRY(check_fixed_parts(device, space));
    for (int i = 0; i < narrow.kernels.count; i++)
        keep[i] = device->kernels.count == 0 ||
                  choices_find(&device->kernels, narrow.kernels.value[i]) >= 0;
    keep_choices(&narrow.kernels, keep);
    if (narrow.kernels.count == 0)
        TRY(err_set(ERR_CONFIG,
                    "device %s runs depthwise kernels of %d, none of which space %s offers; add it "
                    "to choices.kernels",
                    device->name, choices_min(&device->kernels), space->name));
    for (int i = 0; i < narrow.expansions.count; i++)
        keep[i] = expansion_divides(space, narrow.expansions.value[i], device->channel_multiple);
    keep_choices(&narrow.expansions, keep);
    if (narrow.expansions.count == 0)
        TRY(err_set(ERR_CONFIG,
                    "device %s needs channels in multiples of %d, which no expansion of space %s "
                    "gives in every block",
                    device->name, device->channel_multiple, space->name));
    *open = narrow;
out:
    return err;
}

enum err camera_device_check(const struct camera_device *device, const struct space *space,
                             const struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct open_choices open = {space->kernels, space->expansions, space->depths};
    TRY(camera_device_narrow(device, space, &open));
    int b = subnet_find_closed(space, subnet, &open);
    if (b >= 0)
        TRY(err_set(ERR_CONFIG,
                    "device %s does not run block %d of the sub-network: a depthwise convolution "
                    "of %dx%d over %d channels; see kernels and channel_multiple of its file",
                    device->name, b + 1, subnet->kernel[b], subnet->kernel[b],
                    space_middle(&space->blocks[b], subnet->expansion[b])));
out:
    return err;
}

const char *target_broken_bound(const struct target *target, double macs)
{
    if (target->macs_max > 0 && macs > target->macs_max)
        return "macs";
    if (target->latency_ms_max > 0 &&
        camera_device_latency_ms(&target->device, macs) > target->latency_ms_max)
        return "latency_ms";
    return NULL;
}

bool target_fits(const struct target *target, double macs)
{
    return target_broken_bound(target, macs) == NULL;
}

enum err target_check(const struct target *target, const struct space *space,
                      const struct open_choices *open)
{
    double macs = (double)cost_least_macs(space, open, space->resolutions[0]);
    if (target_fits(target, macs))
        return ERR_OK;
    return err_set(ERR_CONFIG,
                   "nothing fits: the smallest sub-network for device %s (%d px) has %.4g "
                   "million MACs and a predicted latency of %.4g ms; raise the budget, or train a "
                   "smaller space or resolution",
                   target->device.name, space->resolutions[0], macs / 1e6,
                   camera_device_latency_ms(&target->device, macs));
}
