/* A site: how jobs are asked for on one cluster (configs/sites/<name>.yaml). What of it goes to
 * Slurm is checked to hold nothing but plain words, though no value ever meets a shell. Plain data;
 * one thread. */
#ifndef CLUSTER_SLURM_SITE_H
#define CLUSTER_SLURM_SITE_H

#include "base/err.h"

struct schema;

#define SITE_DEFAULT "default" /* the name of a site of defaults: there is no such file */
#define SITE_WORDS   16

enum site_requeue {                   /* how a run that its job's end interrupts comes back */
                    SITE_EXIT,        /* by exit code 85, which this cluster's RequeueExit has */
                    SITE_SCONTROL,    /* it asks: scontrol requeue */
                    SITE_CONTINUATION /* it submits a job behind its own */
};

struct site {
    char partition[64], account[64], qos[64]; /* "": the cluster's default */
    double time_seconds;                      /* 0: the partition's default */
    double signal_seconds;                    /* before the end of the time: stop and save */
    char gpu[64];                             /* "a100": its type; "": any */
    int module_count;
    char modules[SITE_WORDS][128]; /* to load, in this order */
    int argument_count;
    char arguments[SITE_WORDS][256]; /* more of sbatch's options */
    char scratch[512];               /* TMPDIR of the job; "": as Slurm gives it */
    int spare_nodes;                 /* beside resources.nodes */
    int requeue;                     /* enum site_requeue */
};

/* A path to a .yaml file, or a name looked up as configs/sites/<name>.yaml
 * (trainer/spec/lookup.h); or SITE_DEFAULT. ERR_CONFIG with every error in one text,
 * ERR_NOT_FOUND. */
MUST_CHECK enum err site_load(const char *name_or_path, struct site *site);
const struct schema *site_schema(void);

#endif
