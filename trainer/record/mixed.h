/* Numbers that more than one kind of device had a part in: through the ranks of a gang, or because
 * a run goes on elsewhere. Their bits are nobody's to compute again. So the run says it, and every
 * later checkpoint and result names the devices; or, with `resources.lineage: same`, it does not go
 * on. One thread. */
#ifndef TRAINER_RECORD_MIXED_H
#define TRAINER_RECORD_MIXED_H

#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/gang/comm.h"
#include "trainer/record/reporter.h"

struct mixed {
    const char *mine;                /* this rank's device (device.lineage); borrowed */
    bool is_refused;                 /* resources.lineage: same */
    const struct reporter *reporter; /* borrowed: who is warned */
    struct text gang;                /* the devices of the gang's ranks (lineage_write_gang()) */
    struct text others;              /* rank 0: other devices that have a part in it */
};
/* policy: resources.lineage, "any" or "same". The caller calls mixed_fini(). */
void mixed_init(struct mixed *mixed, const char *mine, const char *policy,
                const struct reporter *reporter);
void mixed_fini(struct mixed *mixed); /* accepts a zeroed one */

/* Collective, once the devices are open: fills `gang`. ERR_CONFIG on every rank where ranks have
 * different instruction sets or libraries; processors of different models are mixed, or refused
 * too. */
MUST_CHECK enum err mixed_gang(struct mixed *mixed, struct comm *comm);

/* Rank 0: what is computed from here on goes on from this checkpoint of the run. ERR_CONFIG. */
MUST_CHECK enum err mixed_go_on(struct mixed *mixed, const struct checkpoint *from);

/* Rank 0: the same for a checkpoint that the campaign names (teacher.from). It is an input, like
 * the data set: whatever computed it is not compared; what it was mixed of is passed on. */
void mixed_inherit(struct mixed *mixed, const struct checkpoint *from);

#endif
