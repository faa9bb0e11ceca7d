/* What a rank shows of itself while it computes: how far it has got, and whether it waits for
 * others. The thread that computes writes, whoever watches the rank reads; a zeroed one is a rank
 * that has done nothing yet. */
#ifndef TRAINER_GANG_WORK_H
#define TRAINER_GANG_WORK_H

#include <stdatomic.h>

struct rank_work {
    atomic_ullong done;     /* moves with every micro-batch, calibration or evaluation batch */
    atomic_bool is_waiting; /* for other ranks or the disk: its standing still is not its own */
};

#endif
