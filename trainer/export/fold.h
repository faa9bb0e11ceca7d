/* From the supernet to a folded sub-network: BN folded in double (w' = w gamma / sqrt(var + eps),
 * b' = beta - mean gamma / sqrt(var + eps)), kernels transformed (OFA sec. 3.2), widths cut to the
 * active prefix. */
#ifndef TRAINER_EXPORT_FOLD_H
#define TRAINER_EXPORT_FOLD_H

#include "trainer/export/folded.h"
#include "trainer/supernet/supernet.h"

#define FOLD_UNUSED_BIAS (-100.0f) /* the logit of an output that stands for no class */

struct fold_cfg {
    int outputs; /* at least the space's classes: what is more has no weights, and that bias */
    bool is_bgr; /* the stem's weights are turned round, for images in BGR */
};

/* The supernet must hold statistics calibrated for this very sub-network: ERR_DATA otherwise when
 * it has none at all. subnet->resolution is the input side. The layers are layer_walk()'s, of the
 * same names and shapes. On success the caller calls folded_fini. */
MUST_CHECK enum err fold_subnet(const struct supernet *net, const struct subnet *subnet,
                                const struct fold_cfg *cfg, struct folded *folded);

#endif
