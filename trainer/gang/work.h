/* What a rank shows of itself while it computes: how far it has got, and whether it waits. One that
 * hangs moves none of the numbers, wherever it does. The thread that computes writes, whoever
 * watches the rank reads; a zeroed one is a rank that has done nothing yet. */
#ifndef TRAINER_GANG_WORK_H
#define TRAINER_GANG_WORK_H

#include <stdatomic.h>

struct rank_work {
    atomic_ullong done;     /* moves with every micro-batch or evaluation batch, with every block
                             * of a calibration batch */
    atomic_ullong polls;    /* moves while it waits for other ranks */
    atomic_bool is_waiting; /* for the disk: its standing still is not its own */
};

#endif
