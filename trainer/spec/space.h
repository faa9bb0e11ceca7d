/* A search space: the table of stages a supernet is built from (configs/spaces/<name>.yaml), made
 * concrete for a width multiplier, a number of classes and of input channels. Plain data, const
 * after space_load(). OFA sec. 3.1; rounding rules as in the reference implementation (widths to
 * multiples of 8, or of the space's own divisor). Indices: block 0 is the first block (no
 * expansion); dynamic blocks are 0..block_count-1 in stage order. */
#ifndef TRAINER_SPEC_SPACE_H
#define TRAINER_SPEC_SPACE_H

#include "base/act.h"
#include "base/err.h"
#include "base/pad.h"
#include <stdbool.h>

struct yaml_errors;
struct text;

#define SPACE_MAX_STAGES      12
#define SPACE_MAX_BLOCKS      64
#define SPACE_MAX_CHOICES     8
#define SPACE_MAX_RESOLUTIONS 256

struct choices { /* ascending */
    int count;
    int value[SPACE_MAX_CHOICES];
};

struct stage {
    int width;  /* channels out of every block */
    int stride; /* of the first block */
    enum act act;
    bool has_se;
    bool is_elastic; /* depth is open; otherwise exactly block_count blocks */
    int block_count; /* at full depth */
    int first_block; /* index of its first dynamic block */
};

struct block_spec { /* one dynamic block (MBConv) at full size */
    int stage;
    int index_in_stage;
    int C; /* channels in */
    int K; /* channels out */
    int divisor;
    int stride;
    enum act act;
    bool has_se;
    bool has_shortcut; /* stride 1 and C == K */
};

struct space {
    char name[64];
    int classes;
    int channels; /* of the input image: 1 or 3 */
    double width_multiplier;
    int divisor; /* widths are multiples of it, but for classes and channels */
    double norm_eps;
    double dropout;
    bool has_kernel_transform;
    enum pad padding; /* of every convolution */
    struct choices kernels, expansions, depths;
    int resolution_count;
    int resolutions[SPACE_MAX_RESOLUTIONS]; /* ascending */

    int stem_width, stem_stride;
    enum act stem_act;
    int first_width; /* out of the first block: depthwise 3x3 + 1x1, no expansion */
    int first_stride;
    enum act first_act;
    bool first_has_shortcut;

    int stage_count;
    struct stage stages[SPACE_MAX_STAGES];
    int block_count;
    struct block_spec blocks[SPACE_MAX_BLOCKS];
    int elastic_stage_count; /* entries of `d` in a sub-network */

    int expand_width; /* 1x1 conv + batch norm before the pool, 0: none */
    enum act expand_act;
    const char
        *expand_name; /* reference tensor prefix: "final_expand_layer" or "feature_mix_layer" */
    int mix_width;    /* linear without bias behind the pool, 0: none */
    enum act mix_act;
};

/* Reads a space file. Every error at once with file, line, column and the nearest valid key:
 * ERR_CONFIG. */
MUST_CHECK enum err space_load(const char *path, double width_multiplier, int classes, int channels,
                               struct space *space);
/* The same from a text that a checkpoint carries; `source` is the name errors show. */
MUST_CHECK enum err space_parse(const char *source, const char *text, double width_multiplier,
                                int classes, int channels, struct space *space);
/* Everything results depend on, one "name=value" line each: part of every stage key. */
void space_lines(const struct space *space, struct text *lines);
/* The number of sub-networks as exact decimal digits, resolutions not counted: (kernels x
 * expansions)^depth summed over a stage's depths, multiplied over stages. Skipped blocks do not
 * count. */
void space_count(const struct space *space, struct text *digits);

/* max(divisor, v rounded to a multiple of it), never below 0.9 v. */
int space_round(double channels, int divisor);
/* Middle width of a block at expansion e: C e, rounded. */
int space_middle(const struct block_spec *block, int expansion);
/* Hidden width of squeeze-excite: middle / 4 (integer division), rounded. */
int space_hidden(const struct space *space, int middle);
/* The largest number of dynamic blocks, expansions, ... */
int choices_max(const struct choices *choices);
int choices_min(const struct choices *choices);
/* Position of a value, or -1. */
int choices_find(const struct choices *choices, int value);
/* Puts a value into its place, unless it is there. False: there is no room for it. */
bool choices_add(struct choices *choices, int value);

/* The activations a space uses, those of parts it does not have left out: bit 1 << act for each. */
unsigned space_acts(const struct space *space);

#endif
