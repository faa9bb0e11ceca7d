/* Devices: their file, their latency, and what of a space they can run; what fits a target. */
#include "trainer/spec/target.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "trainer/spec/cost.h"
#include "trainer/spec/lookup.h"
#include <string.h>

#define RULE(field)      KNOB_FIELD(device_rule, field)
#define RULE_LIST(field) KNOB_LIST(device_rule, field.value, field.count)
#define OPS              "convolution|depthwise|linear|add|average-pool|squeeze-excite"

static const struct knob rule_knobs[] = {
    {"of", KNOB_WORDS, RULE(of), .fallback = "[]", .words = OPS,
     .help = "the layers it is about; empty: all"},
    {"refuses", KNOB_WORDS, RULE(refuses), .fallback = "[]", .words = OPS "|relu|relu6|h-swish",
     .help = "layers and activations it does not take"},
    {"kernels", KNOB_INTS, RULE_LIST(kernels), .fallback = "[]", .low = 1, .high = 15,
     .help = "kernel sides of convolutions it takes; empty: all"},
    {"strides", KNOB_INTS, RULE_LIST(strides), .fallback = "[]", .low = 1, .high = 8,
     .help = "strides of convolutions it takes; empty: all"},
    {"channel_multiple", KNOB_INT, RULE(channel_multiple), .fallback = "1", .low = 1, .high = 1024,
     .help = "a layer's channels must divide by it"},
    {"least_channels", KNOB_INT, RULE(least_channels), .fallback = "1", .low = 1, .high = 1024,
     .help = "a layer's channels must be as many; missing classes are filled up"},
    {"most_groups", KNOB_INT, RULE(most_groups), .fallback = "0", .low = 0, .high = 1 << 20,
     .help = "groups a convolution may have; 0: any"},
    {"most_map", KNOB_REAL, RULE(most_map_bytes), .fallback = "0", .low = 0, .high = 1e15,
     .unit = UNIT_BYTES, .help = "bytes of a layer's output in fp16; 0: any"},
    {"most_weights", KNOB_REAL, RULE(most_weight_bytes), .fallback = "0", .low = 0, .high = 1e15,
     .unit = UNIT_BYTES, .help = "bytes of all weights in fp16; 0: any"},
    {"basis", KNOB_ENUM, RULE(basis), .words = "documented|inferred",
     .help = "whether the maker says so, or others found it"},
    {"outcome", KNOB_ENUM, RULE(outcome), .fallback = "untested", .words = "untested|refused|wrong",
     .help =
         "what comes of a network that breaks it: the converter refuses it, or it answers wrongly"},
    {"source", KNOB_TEXT, RULE(source), .help = "who says so"},
    {"cure", KNOB_TEXT, RULE(cure), .help = "what to do about it, as half a sentence"},
};
static const struct schema rule_schema = {rule_knobs, sizeof rule_knobs / sizeof *rule_knobs,
                                          sizeof(struct device_rule)};
static const struct knob device_knobs[] = {
    {"device", KNOB_TEXT, KNOB_FIELD(camera_device, name), .help = "name of the device"},
    {"latency.fixed_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_fixed_ms), .fallback = "0",
     .low = 0, .high = 1e6, .unit = UNIT_MS, .help = "time of a network of no size"},
    {"latency.per_mmac_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_ms_per_mmac),
     .fallback = "0", .low = 0, .high = 1e6, .unit = UNIT_MS,
     .help = "time added by a million MACs"},
    {"latency.convolution_ms", KNOB_REAL,
     KNOB_FIELD(camera_device, latency_kind_ms[COST_CONVOLUTION]), .fallback = "0", .low = 0,
     .high = 1e6, .unit = UNIT_MS,
     .help = "the same of convolutions with a kernel; 0: per_mmac_ms"},
    {"latency.pointwise_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_kind_ms[COST_POINTWISE]),
     .fallback = "0", .low = 0, .high = 1e6, .unit = UNIT_MS,
     .help = "the same of 1x1 convolutions; 0: per_mmac_ms"},
    {"latency.depthwise_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_kind_ms[COST_DEPTHWISE]),
     .fallback = "0", .low = 0, .high = 1e6, .unit = UNIT_MS,
     .help = "the same of depthwise convolutions; 0: per_mmac_ms"},
    {"latency.linear_ms", KNOB_REAL, KNOB_FIELD(camera_device, latency_kind_ms[COST_LINEAR]),
     .fallback = "0", .low = 0, .high = 1e6, .unit = UNIT_MS,
     .help = "the same of layers on a map of one pixel; 0: per_mmac_ms"},
    {"takes", KNOB_WORDS, KNOB_FIELD(camera_device, takes), .fallback = "[Mono8, RGB8]",
     .words = "Mono8|BGR8|RGB8", .help = "pixel formats its networks are given"},
    {"arithmetic", KNOB_ENUM, KNOB_FIELD(camera_device, arithmetic), .fallback = "unknown",
     .words = "unknown|fp16",
     .help = "what it computes in; fp16: campaigns check what they compile for it in that"},
    {"geometries", KNOB_WORDS, KNOB_FIELD(camera_device, geometries),
     .fallback = "[crop, stretch, pad]", .words = GEOMETRY_WORDS,
     .help = "how squares are made of its pictures (dataset.geometry)"},
    {"sensor.width", KNOB_INT, KNOB_FIELD(camera_device, sensor_width), .fallback = "0", .low = 0,
     .high = 65536, .unit = UNIT_PIXELS, .help = "of its whole picture; 0: of any size"},
    {"sensor.height", KNOB_INT, KNOB_FIELD(camera_device, sensor_height), .fallback = "0", .low = 0,
     .high = 65536, .unit = UNIT_PIXELS, .help = "likewise"},
    {"rules", KNOB_NAMED, KNOB_LIST(camera_device, rules.rule, rules.count), .fallback = "{}",
     .rows = &rule_schema, .help = "what it runs"},
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
    *device = (struct camera_device){.name = "any",
                                     .takes = {[PIXEL_MONO8] = true, [PIXEL_RGB8] = true},
                                     .geometries = {true, true, true}};
}

enum pixel_format camera_device_format(const struct camera_device *device, int channels)
{
    if (channels == 1)
        return device->takes[PIXEL_MONO8] ? PIXEL_MONO8 : PIXEL_FORMAT_COUNT;
    return device->takes[PIXEL_RGB8]   ? PIXEL_RGB8
           : device->takes[PIXEL_BGR8] ? PIXEL_BGR8
                                       : PIXEL_FORMAT_COUNT;
}

const char *pixel_format_name(enum pixel_format format)
{
    static const char *const names[] = {"Mono8", "BGR8", "RGB8", "none"};
    return names[format];
}

bool camera_device_has_latency(const struct camera_device *device)
{
    double rates = 0;
    for (int k = 0; k < COST_KINDS; k++)
        rates += camera_device_rate_ms(device, (enum cost_kind)k);
    return device->latency_fixed_ms > 0 || rates > 0;
}

double camera_device_rate_ms(const struct camera_device *device, enum cost_kind kind)
{
    double own = device->latency_kind_ms[kind];
    return own > 0 ? own : device->latency_ms_per_mmac;
}

bool camera_device_is_line(const struct camera_device *device)
{
    for (int k = 0; k < COST_KINDS; k++)
        if (camera_device_rate_ms(device, (enum cost_kind)k) != device->latency_ms_per_mmac)
            return false;
    return true;
}

double camera_device_latency_ms(const struct camera_device *device, const struct cost *cost)
{
    double ms = device->latency_fixed_ms;
    if (camera_device_is_line(device))
        return ms + device->latency_ms_per_mmac * (double)cost->macs / 1e6;
    for (int k = 0; k < COST_KINDS; k++)
        ms += camera_device_rate_ms(device, (enum cost_kind)k) * (double)cost->work[k] / 1e6;
    return ms;
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

enum err camera_device_check_images(const struct camera_device *device, int channels)
{
    static const char *const kind[] = {"grey", "colour"};
    bool is_colour = channels > 1;
    if (camera_device_format(device, channels) != PIXEL_FORMAT_COUNT)
        return ERR_OK;
    return err_set(
        ERR_CONFIG,
        "device %s takes no %s images: import the pictures in %s%s, or name the device's "
        "%s model",
        device->name, kind[is_colour], kind[!is_colour], is_colour ? " (--grey)" : "",
        is_colour ? "colour" : "monochrome");
}

enum err camera_device_check_geometry(const struct camera_device *device, enum geometry geometry)
{
    if (device->geometries[geometry])
        return ERR_OK;
    return err_set(
        ERR_CONFIG,
        "device %s scales its pictures by itself and cannot %s them: set dataset.geometry "
        "to crop or stretch",
        device->name, geometry_name(geometry));
}

static enum err refuse(const struct camera_device *device, const struct device_rule *rule,
                       const struct layer_shape *layer)
{
    struct text why;
    text_init(&why);
    device_rule_explain(rule, layer, &why);
    enum err err = err_set(ERR_CONFIG, "device %s: %s", device->name, text_get(&why));
    text_fini(&why);
    return err;
}

/* What is broken with this kernel and expansion everywhere, at the smallest resolution: by a layer
 * of any block, or by the whole of the shallowest network. */
static const struct device_rule *find_broken(const struct camera_device *device,
                                             const struct space *space,
                                             const struct choices *depths, int kernel,
                                             int expansion, struct layer_shape *layer)
{
    struct subnet uniform;
    subnet_uniform(space, kernel, expansion, choices_max(&space->depths), space->resolutions[0],
                   &uniform);
    const struct device_rule *broken =
        device_rules_broken_by_layer(&device->rules, space, &uniform, layer);
    if (broken)
        return broken;
    subnet_uniform(space, kernel, expansion, choices_min(depths), space->resolutions[0], &uniform);
    return device_rules_broken(&device->rules, space, &uniform, layer);
}

enum err camera_device_narrow(const struct camera_device *device, const struct space *space,
                              struct open_choices *open)
{
    const struct device_rule *broken = NULL;
    struct layer_shape layer;
    bool keeps_kernel[SPACE_MAX_CHOICES] = {false}, keeps_expansion[SPACE_MAX_CHOICES] = {false};
    bool keeps_any = false;
    for (int k = open->kernels.count - 1; k >= 0; k--)
        for (int e = open->expansions.count - 1; e >= 0; e--) {
            struct layer_shape at;
            const struct device_rule *found =
                find_broken(device, space, &open->depths, open->kernels.value[k],
                            open->expansions.value[e], &at);
            if (found)
                broken = found, layer = at;
            keeps_kernel[k] = keeps_kernel[k] || !found;
            keeps_expansion[e] = keeps_expansion[e] || !found;
            keeps_any = keeps_any || !found;
        }
    if (!keeps_any && broken)
        return refuse(device, broken, &layer);
    keep_choices(&open->kernels, keeps_kernel);
    keep_choices(&open->expansions, keeps_expansion);
    return ERR_OK;
}

bool camera_device_runs(const struct camera_device *device, const struct space *space,
                        const struct subnet *subnet)
{
    struct layer_shape layer;
    return !device_rules_broken(&device->rules, space, subnet, &layer);
}

enum err camera_device_check(const struct camera_device *device, const struct space *space,
                             const struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct layer_shape layer;
    TRY(camera_device_check_images(device, space->channels));
    const struct device_rule *broken = device_rules_broken(&device->rules, space, subnet, &layer);
    if (broken)
        TRY(refuse(device, broken, &layer));
out:
    return err;
}

const char *target_broken_bound(const struct target *target, const struct cost *cost)
{
    if (target->macs_max > 0 && (double)cost->macs > target->macs_max)
        return "macs";
    if (target->latency_ms_max > 0 &&
        camera_device_latency_ms(&target->device, cost) > target->latency_ms_max)
        return "latency_ms";
    return NULL;
}

bool target_fits(const struct target *target, const struct cost *cost)
{
    return target_broken_bound(target, cost) == NULL;
}

enum err target_check(const struct target *target, const struct space *space,
                      const struct open_choices *open)
{
    struct cost least = cost_least(space, open, space->resolutions[0]);
    if (target_fits(target, &least))
        return ERR_OK;
    return err_set(ERR_CONFIG,
                   "nothing fits: the smallest sub-network for device %s (%d px) has %.4g "
                   "million MACs and a predicted latency of %.4g ms; raise the budget, or train a "
                   "smaller space or resolution",
                   target->device.name, space->resolutions[0], (double)least.macs / 1e6,
                   camera_device_latency_ms(&target->device, &least));
}
