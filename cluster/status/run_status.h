/* What people are told about a run: its state and that of every stage, as the runner writes it to
 * RUN/published/status.json and everybody else reads it. Plain data, and its form as JSON; one
 * table of fields serves both ways. Texts from a file are safe to print: what would be a control
 * character has become '?'. Pure. */
#ifndef CLUSTER_STATUS_RUN_STATUS_H
#define CLUSTER_STATUS_RUN_STATUS_H

#include "scheduler/bad_nodes.h"
#include "scheduler/journal.h"
#include "trainer/spec/campaign.h"
#include <jansson.h>

#define RUN_STATUS_FORMAT 1
#define RUN_STATUS_PATH   1024

enum stage_state { /* words of the file: run_status.c */
                   STAGE_STATE_WAITING,
                   STAGE_STATE_RUNNING,
                   STAGE_STATE_BACKING_OFF, /* failed, and is tried again at retry_at_ms */
                   STAGE_STATE_DONE,
                   STAGE_STATE_FAILED /* for good */
};

/* Times are milliseconds since 1970, 0: not yet. Numbers that are not known are NaN (JSON: null).
 */
struct stage_status {
    char name[64];
    char kind[16]; /* "train", "evaluate", "search", "compile", "report" */
    int state;     /* enum stage_state */
    char why[256]; /* it waits or backs off */
    char needs[64];
    int64_t retry_at_ms;
    int64_t step, steps, reused;
    double epoch, images_per_second, loss, accuracy;
    char doing[32];
    double eta_seconds;
    int64_t attempts, failures; /* failures: of its budget (policy_ended) */
    int causes[CAUSE_COUNT];    /* how many of its attempts ended by each */
    char error[16];             /* err_name() of the last failure */
    char cause[24];             /* cause_name() of it */
    char error_text[512];
    char warning[256];      /* the last */
    char log[JOURNAL_PATH]; /* of the newest attempt, inside the run's folder */
    int64_t started_ms, ended_ms;
    double seconds; /* the attempt that made it took */
    int64_t pid;    /* of the process it was started as; 0: none */
    char host[128]; /* of that process; "": none */
    int64_t gangs;  /* it and those that measure for it; 0: it does not run */
};

enum run_state {
    RUN_STATE_STARTING, /* the folder is looked at, nothing runs yet */
    RUN_STATE_RUNNING,
    RUN_STATE_STOPPING, /* as a person asked */
    RUN_STATE_DONE,
    RUN_STATE_STOPPED,
    RUN_STATE_FAILED
};

struct run_status {
    char campaign[CAMPAIGN_TEXT];
    char device[64];                   /* resources.device; "": not known */
    char run_folder[RUN_STATUS_PATH];  /* absolute, as its runner sees it */
    char command[RUN_STATUS_PATH];     /* that was typed... */
    char work_folder[RUN_STATUS_PATH]; /* ...there */
    char host[128];
    char place[192];            /* process_place() of the runner */
    int64_t claim;              /* of the runner, where several machines may run it; 0: none */
    int64_t pid, started_ticks; /* of the runner; started_ticks: process_started_ticks() */
    int64_t started_ms, written_ms;
    int state;      /* enum run_state */
    char error[16]; /* err_name() of what ended it */
    int64_t signal; /* that asked it to stop; SIGINT: or a person did otherwise; 0: none */
    char text[1024];
    char excluded[512];     /* nodes of its job that gangs do without, "n2,n7"... */
    char excluded_why[512]; /* ...and why, of the last one */
    char waits[512];        /* why nothing is started now: a disk is full; "": nothing is amiss */
    double eta_seconds;
    int stage_count;
    struct stage_status stages[PLAN_MAX_STAGES];
};

/* Nothing known yet, whatever memory held before. */
void run_status_init(struct run_status *status);
void stage_status_init(struct stage_status *stage);

/* What the journal knows of a stage; its name is there, its state is the caller's. */
void stage_status_recall(struct stage_status *stage, const struct stage_record *record);

/* Returns owned (json_decref). */
json_t *run_status_json(const struct run_status *status);
/* ERR_DATA names the field that is wrong; what is missing is not known. Keys that are not known are
 * left alone. */
MUST_CHECK enum err run_status_parse(const json_t *json, struct run_status *status);

/* What is known of a job's nodes. */
void run_status_exclude(struct run_status *status, const struct bad_nodes *nodes);
/* {"crash": 2}: those that are not 0. Returns owned. */
json_t *run_status_causes(const int counts[CAUSE_COUNT]);
/* "backing off"; "stopped" */
const char *stage_state_name(int state);
const char *run_state_name(int state);
bool run_state_is_end(int state);
/* "train", ... of the graph's kind. */
const char *run_status_kind(enum stage_kind kind);
/* How many stages are in this state; the first of them, NULL: none. */
int run_status_count(const struct run_status *status, enum stage_state state);
const struct stage_status *run_status_first(const struct run_status *status,
                                            enum stage_state state);
/* NULL: there is none of this name. */
const struct stage_status *run_status_stage(const struct run_status *status, const char *name);

#endif
