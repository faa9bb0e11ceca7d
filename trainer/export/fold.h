/* From the supernet to a folded sub-network: BN folded in double (w' = w gamma / sqrt(var + eps),
 * b' = beta - mean gamma / sqrt(var + eps)), kernels transformed (OFA sec. 3.2), widths cut to the
 * active prefix. */
#ifndef TRAINER_EXPORT_FOLD_H
#define TRAINER_EXPORT_FOLD_H

#include "trainer/export/folded.h"
#include "trainer/supernet/supernet.h"

/* The supernet must hold statistics calibrated for this very sub-network: ERR_DATA otherwise when
 * it has none at all. subnet->resolution is the input side. On success the caller calls
 * folded_fini. */
MUST_CHECK enum err fold_subnet(const struct supernet *net, const struct subnet *subnet,
                                struct folded *folded);

#endif
