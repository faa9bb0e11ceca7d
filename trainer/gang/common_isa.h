/* One instruction set for a gang of unlike machines, since its sums must not depend on who computed
 * what. Not its devices: what they are on beside that, and whether it may differ, is
 * record/mixed.h's. */
#ifndef TRAINER_GANG_COMMON_ISA_H
#define TRAINER_GANG_COMMON_ISA_H

#include "base/text.h"
#include "trainer/gang/comm.h"

/* Collective, before the devices are opened. pinned: the campaign's, the same on every rank; here:
 * what this rank's device says of its machine (device_isa()), ISA_AUTO: nothing.
 * *chosen: what was pinned, or the least of all ranks. What a person should know of ranks that
 * could do more is appended to `differ` on every rank, nothing where there are none. ERR_CONFIG on
 * every rank, with the cure: a pinned one is not on all machines of several ranks. */
MUST_CHECK enum err common_isa_choose(struct comm *comm, enum isa pinned, enum isa here,
                                      enum isa *chosen, struct text *differ);

#endif
