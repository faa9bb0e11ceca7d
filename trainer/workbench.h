/* What every stage of a campaign works with, opened once per process: the campaign made concrete
 * (space, schedule, plan, keys), the device, the data set with its splits, the supernet, and on
 * rank 0 the store of checkpoints. No stage, no loop. One thread. */
#ifndef TRAINER_WORKBENCH_H
#define TRAINER_WORKBENCH_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/loader.h"
#include "trainer/gang/comm.h"
#include "trainer/spec/campaign.h"
#include "trainer/supernet/supernet.h"
#include "trainer/weights/given_teacher.h"

struct progress { /* what people want to know while a stage runs */
    uint64_t step, steps;
    uint64_t reused; /* of `step` measurements: not measured again */
    double epoch;
    double images_per_second; /* 0: not known yet */
    double loss;
    double accuracy;   /* 0..1; below 0: not known */
    const char *doing; /* "training", "evaluating", ... */
};

struct observer { /* who listens; any function may be NULL */
    void *own;
    bool (*wants_stop)(void *own); /* asked on every rank at every step boundary */
    void (*progress)(void *own, const struct progress *progress);        /* rank 0, often */
    void (*saved)(void *own, uint64_t step, const struct hash *content); /* rank 0, durable */
    void (*warning)(void *own, const char *text); /* rank 0: what a person should know */
};

struct workbench_cfg { /* all borrowed */
    const struct campaign *campaign;
    const char *folder; /* the run's; NULL: the campaign's own */
    struct comm *comm;
    const struct observer *observer; /* NULL: nobody */
    const char *version;             /* of the program: into lineage */
    int64_t lease_epoch;
};

struct workbench {
    struct workbench_cfg cfg;
    const struct campaign *campaign;
    struct comm *comm;
    char *folder;
    struct space space;
    struct given_teacher teacher;
    struct schedule schedule;
    struct plan plan;
    struct hash keys[PLAN_MAX_STAGES]; /* rank 0 only */
    struct device *device;
    struct device_comm *device_comm; /* of comm's gang, for the device's memory */
    struct dataset *dataset;
    uint32_t *train, *holdout, *test; /* records */
    uint32_t train_count, holdout_count, test_count;
    struct augment_cfg augment;
    struct supernet *net;
    struct checkpoint_store *store; /* rank 0 only */
    char *campaign_text, *space_text, *lineage;
    struct text mixed;    /* rank 0: other devices that have a part in it (trainer/mixed.h) */
    struct progress last; /* what was told last; .doing NULL: nothing yet */
};

/* Collective: every rank opens or none does. Returns owned. */
MUST_CHECK enum err workbench_open(const struct workbench_cfg *cfg, struct workbench **bench);
void workbench_close(struct workbench **bench); /* accepts NULL */

/* What the campaign switches on of OFA's training transform (reference file, sec. 4.5). */
struct augment_cfg workbench_augment(const struct campaign *campaign);

/* Index in bench->plan, or -1. */
int workbench_find_stage(const struct workbench *bench, const char *name);
/* "<folder>/<sub>/<name><ending>"; makes the folder. Returns owned in *path. */
MUST_CHECK enum err workbench_path(const struct workbench *bench, const char *sub, const char *name,
                                   const char *ending, char **path);

bool workbench_wants_stop(const struct workbench *bench);
void workbench_progress(struct workbench *bench, const struct progress *progress);
/* A sign of life between two words of progress: tells the last one again. For whoever computes for
 * long, behind every micro-batch: silence is taken for a hung gang. */
void workbench_is_alive(struct workbench *bench);
/* Rank 0 logs it and tells whoever listens: the work goes on, but a person should know. */
void workbench_warn(const struct workbench *bench, const char *text);
void workbench_saved(const struct workbench *bench, uint64_t step, const struct hash *content);

#endif
