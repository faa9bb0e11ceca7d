/* Numbers that more than one kind of device had a part in: through the ranks of a gang, or because
 * a run goes on elsewhere. Their bits are nobody's to compute again. So the run says it, and every
 * later checkpoint and result names the devices (bench->mixed); or, with `resources.lineage: same`,
 * it does not go on. */
#ifndef TRAINER_MIXED_H
#define TRAINER_MIXED_H

#include "trainer/workbench.h"

/* Collective, once the devices are open. ERR_CONFIG on every rank where ranks have different
 * instruction sets or libraries; processors of different models are mixed, or refused too. */
MUST_CHECK enum err mixed_gang(struct workbench *bench);

/* Rank 0: what is computed from here on goes on from this checkpoint of the run. ERR_CONFIG. */
MUST_CHECK enum err mixed_go_on(struct workbench *bench, const struct checkpoint *from);

/* Rank 0: the same for a checkpoint that the campaign names (teacher.from). It is an input, like
 * the data set: whatever computed it is not compared; what it was mixed of is passed on. */
void mixed_inherit(struct workbench *bench, const struct checkpoint *from);

#endif
