/* What may keep a campaign from running on this machine: checks, each with what it found, why that
 * is one, and the cure. A check runs in a child with a limit of seconds, so that a file server or a
 * controller that does not answer holds up nobody. One thread. */
#ifndef CLUSTER_DOCTOR_DOCTOR_H
#define CLUSTER_DOCTOR_DOCTOR_H

#include "kernels/device.h"
#include <stdbool.h>
#include <stddef.h>

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

struct finding {
    enum finding_level level;
    char check[32];
    char reason[512];
    char cure[256]; /* "" where there is nothing to do */
};

struct doctor_subject {        /* all borrowed */
    const char *campaign_path; /* NULL: none is looked at */
    const char *run_folder;    /* its own, or "." */
    const char *scratch;       /* resources.scratch; "": its stores lie in its folder */
    const char *worker, *glowworm;
    char device[32]; /* the campaign's; "auto" */
    enum precision precision;
    int ranks, threads;
};

struct findings { /* where a check puts what it finds: the end of a pipe */
    const char *check;
    int out;
};
void finding_add(struct findings *findings, enum finding_level level, const char *cure,
                 const char *format, ...) PRINTF_LIKE(4, 5);

typedef void check_fn(const struct doctor_subject *subject, struct findings *findings);
struct check {
    const char *name;
    check_fn *run;
    double limit_s;
};
/* In the order they are shown; the row behind the last has no name. */
extern const struct check doctor_checks[];

/* Calls `found` for each finding, in order; a check that takes too long, or dies, is one. */
void doctor_run(const struct check *check, const struct doctor_subject *subject,
                void (*found)(void *own, const struct finding *finding), void *own);

check_fn check_campaign, check_programs, check_mpi, check_gpu; /* check_programs.c, check_gpu.c */
check_fn check_run_folder, check_shared_memory;                /* check_folders.c */
check_fn check_slurm, check_keys, check_clock, check_limits, check_processor, check_memory;

#endif
