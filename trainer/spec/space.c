/* A space file made concrete: the stage table of the file, every width rounded for the multiplier.
 */
#include "trainer/spec/space.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include <math.h>
#include <string.h>

#define ACT_WORDS "none|relu|relu6|hswish" /* the order of enum act */
#define PAD_WORDS "symmetric|tf"           /* of enum pad */
#define MAX_WIDTH 4096

struct stage_row { /* one row of `stages` as written */
    int width, stride, act, depth;
    bool has_se;
};

struct space_file { /* a space file as written, before the multiplier */
    char name[64];
    double norm_eps, dropout;
    bool has_kernel_transform;
    int padding, divisor;
    struct choices kernels, expansions, depths;
    int resolution_count, resolutions[SPACE_MAX_RESOLUTIONS];
    int stem_width, stem_stride, stem_act;
    int first_width, first_stride, first_act;
    bool first_has_shortcut;
    int stage_count;
    struct stage_row stages[SPACE_MAX_STAGES];
    int expand_width, expand_act, mix_width, mix_act;
};

static const struct knob stage_knobs[] = {
    {"width", KNOB_INT, KNOB_FIELD(stage_row, width), .low = 1, .high = MAX_WIDTH,
     .help = "channels out of every block, before the width multiplier"},
    {"stride", KNOB_INT, KNOB_FIELD(stage_row, stride), .fallback = "1", .low = 1, .high = 2,
     .help = "stride of the stage's first block"},
    {"act", KNOB_ENUM, KNOB_FIELD(stage_row, act), .words = ACT_WORDS, .help = "activation"},
    {"se", KNOB_BOOL, KNOB_FIELD(stage_row, has_se), .fallback = "no",
     .help = "squeeze-excite behind the depthwise convolution"},
    {"depth", KNOB_INT, KNOB_FIELD(stage_row, depth), .fallback = "open", .low = 1,
     .high = SPACE_MAX_BLOCKS, .words = "open=0",
     .help = "open: choices.depths; a number: exactly so many blocks"},
};
static const struct schema stage_schema = {stage_knobs, sizeof stage_knobs / sizeof *stage_knobs,
                                           sizeof(struct stage_row)};

static const struct knob space_knobs[] = {
    {"space", KNOB_TEXT, KNOB_FIELD(space_file, name), .help = "name of the space"},
    {"norm_eps", KNOB_REAL, KNOB_FIELD(space_file, norm_eps), .fallback = "1e-5", .low = 1e-8,
     .high = 0.1, .help = "added to the variance in batch norm"},
    {"dropout", KNOB_REAL, KNOB_FIELD(space_file, dropout), .fallback = "0.1", .low = 0,
     .high = 0.9, .help = "dropout in front of the classifier"},
    {"kernel_transform", KNOB_BOOL, KNOB_FIELD(space_file, has_kernel_transform), .fallback = "yes",
     .help = "smaller kernels by a learned matrix from the centre of the larger"},
    {"padding", KNOB_ENUM, KNOB_FIELD(space_file, padding), .fallback = "symmetric",
     .words = PAD_WORDS, .help = "zeros on all sides alike, or as TensorFlow's SAME puts them"},
    {"divisor", KNOB_INT, KNOB_FIELD(space_file, divisor), .fallback = "8", .low = 1, .high = 64,
     .help = "widths are rounded to multiples of it"},
    {"choices.kernels", KNOB_INTS, KNOB_LIST(space_file, kernels.value, kernels.count), .low = 3,
     .high = 7, .help = "depthwise kernel sides of every block"},
    {"choices.expansions", KNOB_INTS, KNOB_LIST(space_file, expansions.value, expansions.count),
     .low = 1, .high = 16, .help = "expansion ratios of every block"},
    {"choices.depths", KNOB_INTS, KNOB_LIST(space_file, depths.value, depths.count), .low = 1,
     .high = 16, .help = "blocks of every open stage"},
    {"resolutions", KNOB_INTS, KNOB_LIST(space_file, resolutions, resolution_count), .low = 8,
     .high = 2048, .unit = UNIT_PIXELS, .help = "input sides trained: a list or 128..224 step 4"},
    {"stem.width", KNOB_INT, KNOB_FIELD(space_file, stem_width), .low = 1, .high = MAX_WIDTH,
     .help = "channels out of the first 3x3 convolution"},
    {"stem.stride", KNOB_INT, KNOB_FIELD(space_file, stem_stride), .fallback = "2", .low = 1,
     .high = 2, .help = "its stride"},
    {"stem.act", KNOB_ENUM, KNOB_FIELD(space_file, stem_act), .words = ACT_WORDS,
     .help = "its activation"},
    {"first.width", KNOB_INT, KNOB_FIELD(space_file, first_width), .low = 1, .high = MAX_WIDTH,
     .help = "channels out of the first block (depthwise 3x3 and 1x1, no expansion)"},
    {"first.stride", KNOB_INT, KNOB_FIELD(space_file, first_stride), .fallback = "1", .low = 1,
     .high = 2, .help = "its stride"},
    {"first.act", KNOB_ENUM, KNOB_FIELD(space_file, first_act), .words = ACT_WORDS,
     .help = "its activation"},
    {"first.shortcut", KNOB_BOOL, KNOB_FIELD(space_file, first_has_shortcut), .fallback = "no",
     .help = "add its input; needs stride 1 and the stem's width"},
    {"stages", KNOB_ROWS, KNOB_LIST(space_file, stages, stage_count), .rows = &stage_schema,
     .help = "one row per stage"},
    {"head.expand", KNOB_INT, KNOB_FIELD(space_file, expand_width), .fallback = "0", .low = 0,
     .high = MAX_WIDTH, .help = "channels of the 1x1 convolution before the pool, 0: none"},
    {"head.expand_act", KNOB_ENUM, KNOB_FIELD(space_file, expand_act), .fallback = "relu",
     .words = ACT_WORDS, .help = "its activation"},
    {"head.mix", KNOB_INT, KNOB_FIELD(space_file, mix_width), .fallback = "0", .low = 0,
     .high = 2 * MAX_WIDTH, .help = "channels of the layer behind the pool (no bias), 0: none"},
    {"head.mix_act", KNOB_ENUM, KNOB_FIELD(space_file, mix_act), .fallback = "relu",
     .words = ACT_WORDS, .help = "its activation"},
};
static const struct schema space_schema = {space_knobs, sizeof space_knobs / sizeof *space_knobs,
                                           sizeof(struct space_file)};

/* OFA's make_divisible: the nearest multiple, halves up, never more than a tenth below. */
int space_round(double channels, int divisor)
{
    int rounded = (int)((channels + divisor / 2.0) / divisor) * divisor;
    if (rounded < divisor)
        rounded = divisor;
    return rounded < 0.9 * channels ? rounded + divisor : rounded;
}

int space_middle(const struct block_spec *block, int expansion)
{
    return space_round(block->C * expansion, block->divisor);
}

int space_hidden(const struct space *space, int middle)
{
    return space_round(middle / 4, space->divisor);
}

int choices_max(const struct choices *choices)
{
    return choices->count > 0 ? choices->value[choices->count - 1] : 0;
}

int choices_min(const struct choices *choices)
{
    return choices->count > 0 ? choices->value[0] : 0;
}

int choices_find(const struct choices *choices, int value)
{
    for (int i = 0; i < choices->count; i++)
        if (choices->value[i] == value)
            return i;
    return -1;
}

bool choices_add(struct choices *choices, int value)
{
    int at = choices->count;
    if (choices_find(choices, value) >= 0)
        return true;
    if (choices->count == SPACE_MAX_CHOICES)
        return false;
    for (; at > 0 && choices->value[at - 1] > value; at--)
        choices->value[at] = choices->value[at - 1];
    choices->value[at] = value;
    choices->count++;
    return true;
}

/* What the rows of the schema cannot see alone. */
static void check_file(const struct space_file *file, const struct yaml_node *root,
                       struct yaml_errors *errors)
{
    int blocks = 0, open_stages = 0;
    for (int i = 0; i < file->kernels.count; i++)
        if (file->kernels.value[i] % 2 == 0)
            yaml_complain(errors, yaml_nearest(root, "choices.kernels"), "choices.kernels",
                          "%d is even; kernels are 3, 5 or 7", file->kernels.value[i]);
    for (int i = 0; i < file->stage_count; i++) {
        open_stages += file->stages[i].depth == 0;
        blocks += file->stages[i].depth ? file->stages[i].depth : choices_max(&file->depths);
    }
    if (yaml_errors_count(errors) > 0) /* the rest would only repeat what is already said */
        return;
    static const char *const lists[] = {"choices.kernels", "choices.expansions", "resolutions",
                                        "stages"};
    int counts[] = {file->kernels.count, file->expansions.count, file->resolution_count,
                    file->stage_count};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] == 0)
            yaml_complain(errors, yaml_nearest(root, lists[i]), lists[i], "is empty");
    if (file->depths.count == 0 && open_stages > 0)
        yaml_complain(errors, yaml_nearest(root, "choices.depths"), "choices.depths",
                      "is empty, but %d stages leave their depth open", open_stages);
    if (blocks > SPACE_MAX_BLOCKS)
        yaml_complain(errors, yaml_nearest(root, "stages"), "stages",
                      "%d blocks at full depth; at most %d are possible", blocks, SPACE_MAX_BLOCKS);
    if (file->first_has_shortcut &&
        (file->first_stride != 1 || file->first_width != file->stem_width))
        yaml_complain(errors, yaml_nearest(root, "first.shortcut"), "first.shortcut",
                      "needs first.stride 1 and first.width = stem.width; write no");
    if (file->mix_width > 0 && file->expand_width == 0)
        yaml_complain(errors, yaml_nearest(root, "head.mix"), "head.mix",
                      "needs head.expand before it");
}

static void build_stage(struct space *space, const struct stage_row *row, int *C)
{
    struct stage *stage = &space->stages[space->stage_count];
    stage->width = space_round(row->width * space->width_multiplier, space->divisor);
    stage->stride = row->stride;
    stage->act = (enum act)row->act;
    stage->has_se = row->has_se;
    stage->is_elastic = row->depth == 0;
    stage->block_count = stage->is_elastic ? choices_max(&space->depths) : row->depth;
    stage->first_block = space->block_count;
    for (int i = 0; i < stage->block_count; i++) {
        struct block_spec *block = &space->blocks[space->block_count++];
        block->stage = space->stage_count;
        block->divisor = space->divisor;
        block->index_in_stage = i;
        block->C = *C;
        block->K = stage->width;
        block->stride = i == 0 ? stage->stride : 1;
        block->act = stage->act;
        block->has_se = stage->has_se;
        block->has_shortcut = block->stride == 1 && block->C == block->K;
        *C = block->K;
    }
    space->elastic_stage_count += stage->is_elastic;
    space->stage_count++;
}

static void build_space(const struct space_file *file, struct space *space)
{
    double multiplier = space->width_multiplier;
    memcpy(space->name, file->name, sizeof space->name);
    space->norm_eps = file->norm_eps;
    space->dropout = file->dropout;
    space->has_kernel_transform = file->has_kernel_transform;
    space->padding = (enum pad)file->padding;
    space->divisor = file->divisor;
    space->kernels = file->kernels;
    space->expansions = file->expansions;
    space->depths = file->depths;
    space->resolution_count = file->resolution_count;
    memcpy(space->resolutions, file->resolutions, sizeof space->resolutions);
    space->stem_width = space_round(file->stem_width * multiplier, space->divisor);
    space->stem_stride = file->stem_stride;
    space->stem_act = (enum act)file->stem_act;
    space->first_width = space_round(file->first_width * multiplier, space->divisor);
    space->first_stride = file->first_stride;
    space->first_act = (enum act)file->first_act;
    space->first_has_shortcut = file->first_has_shortcut;
    int C = space->first_width;
    for (int i = 0; i < file->stage_count; i++)
        build_stage(space, &file->stages[i], &C);
    space->expand_width =
        file->expand_width ? space_round(file->expand_width * multiplier, space->divisor) : 0;
    space->expand_act = (enum act)file->expand_act;
    space->mix_width =
        file->mix_width ? space_round(file->mix_width * multiplier, space->divisor) : 0;
    space->mix_act = (enum act)file->mix_act;
    /* The reference's two families name the layer differently. */
    space->expand_name = space->mix_width > 0 ? "final_expand_layer" : "feature_mix_layer";
}

static enum err check_arguments(const char *path, double width_multiplier, int classes,
                                int channels)
{
    if (!(width_multiplier >= 0.1 && width_multiplier <= 4))
        return err_set(ERR_CONFIG, "%s: width multiplier %g is out of range: 0.1 to 4", path,
                       width_multiplier);
    if (classes < 1 || classes > 100000)
        return err_set(ERR_CONFIG, "%s: %d classes are out of range: 1 to 100000", path, classes);
    if (channels != 1 && channels != 3)
        return err_set(ERR_CONFIG, "%s: images have 1 or 3 channels, not %d", path, channels);
    return ERR_OK;
}

static enum err read_space(struct yaml *yaml, double width_multiplier, int classes, int channels,
                           struct space *space)
{
    enum err err = ERR_OK;
    struct yaml_errors *errors = yaml_errors_create();
    struct space_file *file = mem_alloc(sizeof *file);
    if (schema_fill(&space_schema, yaml_root(yaml), errors, file))
        check_file(file, yaml_root(yaml), errors);
    TRY(yaml_errors_end(errors));
    memset(space, 0, sizeof *space);
    space->classes = classes;
    space->channels = channels;
    space->width_multiplier = width_multiplier;
    build_space(file, space);
out:
    mem_free(file);
    yaml_errors_destroy(errors);
    return err;
}

enum err space_load(const char *path, double width_multiplier, int classes, int channels,
                    struct space *space)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    TRY(check_arguments(path, width_multiplier, classes, channels));
    TRY(yaml_open(path, &yaml));
    TRY(read_space(yaml, width_multiplier, classes, channels, space));
out:
    yaml_close(&yaml);
    return err;
}

enum err space_parse(const char *source, const char *text, double width_multiplier, int classes,
                     int channels, struct space *space)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    TRY(check_arguments(source, width_multiplier, classes, channels));
    TRY(yaml_parse(source, text, strlen(text), &yaml));
    TRY(read_space(yaml, width_multiplier, classes, channels, space));
out:
    yaml_close(&yaml);
    return err;
}

unsigned space_acts(const struct space *space)
{
    unsigned acts = 1u << space->stem_act | 1u << space->first_act;
    if (space->expand_width > 0)
        acts |= 1u << space->expand_act;
    if (space->mix_width > 0)
        acts |= 1u << space->mix_act;
    for (int i = 0; i < space->stage_count; i++)
        acts |= 1u << space->stages[i].act;
    return acts;
}
