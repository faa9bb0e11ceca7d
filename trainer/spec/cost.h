/* What a sub-network costs: multiply-accumulates per image and parameters. Convolutions,
 * squeeze-excite and linear layers count; batch norm, activations, pools and sums do not (the
 * field's convention; reference: OFA's own counts). Parameters: weights, biases, two per batch-norm
 * channel; not kernel matrices nor running statistics. Pure. */
#ifndef TRAINER_SPEC_COST_H
#define TRAINER_SPEC_COST_H

#include "trainer/spec/subnet.h"
#include <stdint.h>

enum cost_kind {                   /* kinds of layers that devices take different times for */
                 COST_CONVOLUTION, /* dense, of a kernel above 1 */
                 COST_POINTWISE,   /* dense, 1x1 */
                 COST_DEPTHWISE,
                 COST_LINEAR /* on a map of one pixel: squeeze-excite too */
};
#define COST_KINDS 4
extern const char *const cost_kind_names[COST_KINDS]; /* "convolution", ... */

struct cost {
    int64_t macs;             /* per image at subnet->resolution */
    int64_t work[COST_KINDS]; /* of them, by kind */
    int64_t parameters;
    int64_t map_elements; /* raw convolution outputs per image: what training keeps */
};

struct cost cost_of(const struct space *space, const struct subnet *subnet);
/* Of the cheapest sub-network of what is open; no other has less work of any kind. */
struct cost cost_least(const struct space *space, const struct open_choices *open, int resolution);

#endif
