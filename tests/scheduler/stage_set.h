/* A small campaign for the loop's tests, made by hand: teacher and kernel (training), evaluate (a
 * gang with a result), compile-best and report (host stages of a pretended glowworm), run by
 * fake_worker in a scratch folder. What the view is told is kept as text. */
#ifndef TESTS_SCHEDULER_STAGE_SET_H
#define TESTS_SCHEDULER_STAGE_SET_H

#include "base/text.h"
#include "scheduler/loop.h"

#define SET_ENDPOINT (JOURNAL_PATH + 16)

enum set_stage { SET_TEACHER, SET_KERNEL, SET_EVALUATE, SET_COMPILE, SET_REPORT, SET_COUNT };

struct stage_set {
    char folder[128];
    char script[160]; /* the pretended glowworm */
    struct graph graph;
    struct campaign campaign;
    struct survey survey; /* of the last run */
    struct loop_cfg cfg;
    struct loop_view view;
    struct text told; /* "start kernel 0\n" "done kernel\n" ... */
    volatile sig_atomic_t stop;
    int stop_stage, stop_step; /* progress of this stage and step sets `stop`... */
    int stop_count;            /* ...to this; 0: never */
    void (*on_start)(struct stage_set *set, const struct gang *gang); /* NULL: nothing */
};

/* folder: scratch. Faults and speed come from the environment (fake_worker.c); they are cleared
 * here. */
void set_make(struct stage_set *set, const char *folder);
void set_free(struct stage_set *set);
/* One knob of a stage as the person edits it: its inputs and its key, and the keys behind it. */
void set_edit(struct stage_set *set, enum set_stage stage, int epochs);

/* Before the first run: another stage, compile-small, beside compile-best and for the report. It
 * takes the place of SET_REPORT; both compile at once. */
void set_add_target(struct stage_set *set);
/* Likewise check-best, behind compile-best and for the report. */
void set_add_check(struct stage_set *set);
/* The control group that the runner believes to be in has counted none so far; file: its count. */
void set_make_group(struct stage_set *set, char file[200]);
/* Gangs have ranks on two nodes; both are this machine. */
void set_widen(struct stage_set *set);
/* What compiling a target does first: shell, in the run's folder, with `await FILE` for waiting;
 * NULL: nothing any more. */
void set_script(const struct stage_set *set, const char *target, const char *script);

/* cmocka's setup and teardown; *state is the set, in a scratch folder. */
int set_up(void **state);
int tear_down(void **state);

/* Opens the journal, surveys, runs, closes. */
enum err set_run(struct stage_set *set);
/* Fails the test when the run ends otherwise. */
void expect_run(struct stage_set *set, enum err expected);
void expect_in(const char *text, const char *part);
/* The same in a child process; returns its pid. It exits with the error's exit code. */
pid_t set_fork(struct stage_set *set);
/* Surveys without running; fails the test on an error. */
void set_survey(struct stage_set *set);

/* Fails the test unless every stage is done in the journal with the contents a run without any
 * trouble has, and no process of the test is left. */
void set_expect_done(struct stage_set *set);
/* Content of a stage's final checkpoint: what fake_worker makes of its key. */
void set_final_content(const struct stage_set *set, int stage, char hex[HASH_HEX_BYTES]);
/* Damages a checkpoint: the store finds it so, and a worker that is to start from it fails. */
void set_damage(const struct stage_set *set, const char *content);
/* How often the trace says that a step of a stage was computed. */
int set_count_steps(const struct stage_set *set, const char *stage, int step);
/* Where the gang of the latest attempt finds its runner. */
void set_endpoint(struct journal *journal, char endpoint[SET_ENDPOINT]);
/* The file of the run's folder, "" when it is not there; returns owned. */
char *set_read(const struct stage_set *set, const char *name);
/* Each life of the kernel stage began where the one before had its last checkpoint that counts, or
 * later, and every step was computed. Returns how often it went on from a step above 0. */
int set_expect_no_way_back(struct stage_set *set);
/* How many processes that this test started live. */
int set_count_processes(void);

#endif
