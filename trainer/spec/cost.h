/* What a sub-network costs: multiply-accumulates per image and parameters. Convolutions,
 * squeeze-excite and linear layers count; batch norm, activations, pools and sums do not (the
 * field's convention; reference: OFA's own counts). Parameters: weights, biases, two per batch-norm
 * channel; not kernel matrices nor running statistics. Pure. */
#ifndef TRAINER_SPEC_COST_H
#define TRAINER_SPEC_COST_H

#include "trainer/spec/subnet.h"
#include <stdint.h>

struct cost {
    int64_t macs; /* per image at subnet->resolution */
    int64_t parameters;
    int64_t map_elements; /* raw convolution outputs per image: what training keeps */
};

struct cost cost_of(const struct space *space, const struct subnet *subnet);
/* MACs of the cheapest sub-network of what is open. */
int64_t cost_least_macs(const struct space *space, const struct open_choices *open, int resolution);

#endif
