/* What every stage of a campaign works with, opened once per process and in the right order: the
 * blueprint, the device, the images, the supernet, and on rank 0 the store of checkpoints. Only the
 * files of trainer/ itself hold a whole bench; a room gets the parts it works with. No stage, no
 * loop. One thread. */
#ifndef TRAINER_WORKBENCH_H
#define TRAINER_WORKBENCH_H

#include "trainer/checkpoint/provenance.h"
#include "trainer/data/splits.h"
#include "trainer/evaluate/evaluate_open.h"
#include "trainer/record/mixed.h"
#include "trainer/record/run_record.h"
#include "trainer/spec/blueprint.h"
#include "trainer/train/resume.h"
#include "trainer/weights/given_teacher.h"

struct workbench_cfg { /* all borrowed */
    const struct campaign *campaign;
    const char *folder; /* the run's; NULL: the campaign's own */
    const char *stores; /* the folder of checkpoints/; NULL: the run's (base/published.h) */
    bool stages_images; /* each node reads a copy of its own, on the campaign's scratch */
    uint64_t claim;     /* of the runner that asks (base/fence.h); 0: none */
    struct comm *comm;
    const struct observer *observer; /* NULL: nobody */
    const char *version;             /* of the program: into lineage */
    int64_t lease_epoch;
    const char *precision;     /* to compute in; NULL: the campaign's */
    struct exchange *exchange; /* of measurements, on rank 0; NULL: nothing is looked up or kept */
    const char *stage; /* it is opened for: one that does not train only reads checkpoints */
    bool only_reads;   /* whatever the stage: beside whoever writes them. Otherwise this is
                          their one writer */
};

struct workbench {
    struct workbench_cfg cfg;
    struct comm *comm;
    char *folder;
    struct blueprint blueprint;
    struct given_teacher teacher;
    struct splits splits;
    struct device *device;
    struct device_comm *device_comm; /* of comm's gang, for the device's memory */
    struct supernet *net;
    struct reporter reporter;
    struct mixed mixed;
    struct checkpoint_store *store; /* rank 0 only */
    struct provenance provenance;   /* rank 0 only */
};

/* Collective: every rank opens or none does. Returns owned. */
MUST_CHECK enum err workbench_open(const struct workbench_cfg *cfg, struct workbench **bench);
void workbench_close(struct workbench **bench); /* accepts NULL */

/* Collective, in front of a stage's first pass: the device has the scratch of all that the stage
 * calls (phase as blueprint_phase(), NULL where nothing is trained), or of what measuring this one
 * sub-network calls (NULL: any of the space). ERR_MEMORY, on every rank; ERR_CONFIG. */
MUST_CHECK enum err workbench_prepare(struct workbench *bench, const struct phase *phase,
                                      const struct subnet *subnet);

/* The parts of a bench that a room works with; borrowed, as long as the bench is open. */
struct resume_cfg workbench_resume(struct workbench *bench);
struct evaluate_parts workbench_evaluate(struct workbench *bench);
struct run_record workbench_record(const struct workbench *bench);

#endif
