/* What `run` and `plan` know before anything starts: the campaign with its space, schedule and
 * graph, and how that compares with what the run's folder already holds. One thread. */
#ifndef CLUSTER_CAMPAIGN_RUN_H
#define CLUSTER_CAMPAIGN_RUN_H

#include "scheduler/survey.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/weights/given_teacher.h"

#define CAMPAIGN_RUN_MAX_OVERRIDES 64

struct campaign_options { /* the command line of both; borrowed from argv */
    const char *path;
    struct campaign_override overrides[CAMPAIGN_RUN_MAX_OVERRIDES];
    int override_count;
    char run_folder[2 * CAMPAIGN_TEXT]; /* of an override: quoted, since a name is no YAML */
    const char *folder;                 /* it says; NULL: --run-folder was not given */
    const char *site;                   /* of Slurm; NULL: not named */
    bool wants_json, takes_over;
    bool wants_page;       /* of `run` */
    int page_port;         /* 0: any that is free */
    int priority;          /* of `submit` */
    bool is_held;          /* likewise */
    const char *scheduler; /* its folder, likewise; NULL: not named */
    bool waits;            /* of `slurm submit` */
    const char *key;       /* likewise: submitted once for it; NULL: not named */
};
/* CAMPAIGN.yaml [--set KEY=VALUE]... [--run-folder FOLDER] [--site SITE] [--page[=PORT]]
 * [--take-over] (both of `run` alone) [--priority N] [--held] [--folder FOLDER] (of `submit`)
 * [--wait] [--once NAME] (of `slurm submit`) [--json]. Writes into argv. ERR_USAGE. */
MUST_CHECK enum err campaign_options_read(int argc, char **argv, struct campaign_options *options);

struct campaign_run {
    struct campaign campaign;
    struct space space;
    struct schedule schedule;
    struct graph graph;
    struct hash dataset;
    uint32_t train_images, holdout_images, test_images;
    int image_side; /* the longest side of a stored image, pixels */
    struct given_teacher teacher;
    const char *folder;          /* the run's */
    char *checkpoints, *journal; /* to read: inside it, or what was published (base/published.h) */
    char *resolved;              /* inside it */
    bool was_stopped;            /* it was run, until it was asked to stop */
};

/* Loads everything that is needed to know the stages and their keys. ERR_CONFIG, ERR_NOT_FOUND (no
 * dataset, no teacher), ERR_DATA, ERR_IO. Returns owned. */
MUST_CHECK enum err campaign_run_open(const struct campaign_options *options,
                                      struct campaign_run **run);
void campaign_run_close(struct campaign_run **run); /* accepts NULL */
/* Journal and checkpoints lie in that folder from now on. */
void campaign_run_move_stores(struct campaign_run *run, const char *stores);

/* A check_checkpoint (scheduler/survey.h): reads every byte. own: the struct campaign_run. */
MUST_CHECK enum err campaign_run_check(void *own, const char *content);

/* The graph held against the folder; journal: NULL when there is none. Reads only, checkpoints in a
 * child that may die of their pages (cluster/apart.h): before any thread is started. */
MUST_CHECK enum err campaign_run_survey(struct campaign_run *run, struct journal *journal,
                                        struct survey *survey);

/* An edit that was taken back: the names of checkpoints ("kernel/final") follow the campaign to the
 * contents its done stages have. In a child, as the survey. */
MUST_CHECK enum err campaign_run_name_checkpoints(const struct campaign_run *run,
                                                  const struct survey *survey);

#endif
