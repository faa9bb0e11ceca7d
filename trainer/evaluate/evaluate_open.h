/* The evaluation of a campaign: what evaluate_create() wants, out of a run's parts. */
#ifndef TRAINER_EVALUATE_EVALUATE_OPEN_H
#define TRAINER_EVALUATE_EVALUATE_OPEN_H

#include "trainer/data/splits.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/record/reporter.h"

struct evaluate_parts { /* all borrowed */
    const struct campaign *campaign;
    const struct splits *splits;
    struct comm *comm;
    struct device_comm *device_comm;
    struct supernet *net;
    struct exchange *exchange; /* rank 0's, or NULL */
    bool is_shared;            /* as in struct evaluate_cfg */
    const char *lineage;       /* of the gang (lineage_write_gang()) */
    struct reporter *reporter;
};

/* Collective. arena: as in struct evaluate_cfg. Returns owned. */
MUST_CHECK enum err evaluate_open(const struct evaluate_parts *parts,
                                  struct activation_arena *arena, struct evaluate **evaluate);

#endif
