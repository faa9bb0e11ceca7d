/* A sub-network: kernel and expansion per block, depth per open stage, and the resolution it runs
 * at. Text form: "r=96 k=7,5,3,... e=6,4,... d=4,3,2,..."; a single number broadcasts; `k` and `e`
 * have one entry per dynamic block (skipped ones too), `d` one per stage whose depth is open; `r`
 * may be left out where the input says it. Plain data, no pointers; equal sub-networks may differ
 * in the entries of skipped blocks (subnet_canonical). */
#ifndef TRAINER_SPEC_SUBNET_H
#define TRAINER_SPEC_SUBNET_H

#include "base/err.h"
#include "base/text.h"
#include "trainer/spec/space.h"
#include <stdint.h>

struct subnet {
    int resolution;                  /* pixels of the square input; 0: not said */
    int8_t kernel[SPACE_MAX_BLOCKS]; /* 3, 5, 7 */
    int8_t expansion[SPACE_MAX_BLOCKS];
    int8_t depth[SPACE_MAX_STAGES]; /* per elastic stage */
};

/* Which choices a phase or a target leaves open: subsets of the space's. */
struct open_choices {
    struct choices kernels, expansions, depths;
};

/* ERR_CONFIG with the reason and the cure when the text is malformed or the space does not have
 * that choice. */
MUST_CHECK enum err subnet_parse(const struct space *space, const char *text,
                                 struct subnet *subnet);
MUST_CHECK enum err subnet_check(const struct space *space, const struct subnet *subnet);
void subnet_format(const struct space *space, const struct subnet *subnet, struct text *text);

void subnet_biggest(const struct space *space, int resolution, struct subnet *subnet);
void subnet_smallest(const struct space *space, int resolution, struct subnet *subnet);
/* The cheapest sub-network of what is open. */
void subnet_smallest_open(const struct space *space, const struct open_choices *open,
                          int resolution, struct subnet *subnet);
/* One value for every block and stage; values must be choices of the space. */
void subnet_uniform(const struct space *space, int kernel, int expansion, int depth, int resolution,
                    struct subnet *subnet);
/* Sets the genes of skipped blocks to the smallest choice, so that equal networks compare and hash
 * equal. */
void subnet_canonical(const struct space *space, struct subnet *subnet);
bool subnet_equal(const struct space *space, const struct subnet *left, const struct subnet *right);

/* The sub-network number `index` of a step: every k, every e, every d uniform and independent (OFA
 * sec. 3.3), rng(seed, RNG_SUBNET, 0, step, (index << 16) + gene). The resolution is left at 0. */
void subnet_sample(const struct space *space, const struct open_choices *open, uint64_t seed,
                   uint64_t step, int index, struct subnet *subnet);

/* Depth of a stage (closed stages: all their blocks), and whether a dynamic block runs. */
int subnet_depth(const struct space *space, const struct subnet *subnet, int stage);
bool subnet_has_block(const struct space *space, const struct subnet *subnet, int block);
/* The first block that runs with a kernel or an expansion that is not among `open`, or whose stage
 * has such a depth; -1 when there is none. Skipped blocks do not count. */
int subnet_find_closed(const struct space *space, const struct subnet *subnet,
                       const struct open_choices *open);

#endif
