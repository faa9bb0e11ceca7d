/* What loop.c (decides and waits), loop_attempt.c (starts and ends attempts), loop_listen.c (takes
 * the gangs' words), loop_hear.c (what they mean), loop_tell.c (ours to them), loop_shares.c
 * and loop_helpers.c (measuring that is shared), loop_away.c (on other nodes), loop_leftovers.c
 * (what a runner that died left) and loop_adopt.c (what of that goes on) share, loop_meet.c (where
 * gangs find us) and loop_full.c (a disk without room). Nobody else includes it. */
#ifndef SCHEDULER_LOOP_INTERNAL_H
#define SCHEDULER_LOOP_INTERNAL_H

#include "base/clock.h"
#include "base/log.h"
#include "scheduler/bad_nodes.h"
#include "scheduler/loop.h"
#include "scheduler/oom.h"
#include "scheduler/protocol.h"
#include "scheduler/rendezvous.h"
#include "scheduler/shares.h"
#include <signal.h>
#include <time.h>

#define LEAVING_MS 10 /* while the end of a process is all that is waited for */

#define LOOP_MAX_HELPERS  1024
#define LOOP_PLACES       4096
#define LOOP_MAX_ATTEMPTS (PLAN_MAX_STAGES + LOOP_MAX_HELPERS)

/* A stage has one at a time: the next waits until this one's last process has ended. Helpers are
 * attempts of their own. */
struct attempt {
    struct gang gang;
    char text[JOURNAL_TEXT]; /* of its outcome */
    double pulse_s;          /* our last pulse */
    double published_s;      /* a copy of what it reads was looked for, for its helpers */
    struct process leaving;  /* its outcome is known, but not all of it has ended; pid 0: it has */
    double leaving_s;        /* since when */
    bool is_leaving_told;
    bool is_released;       /* a helper that was sent away */
    bool is_recorded;       /* the journal has the number of its process */
    struct process_end end; /* has_ended: the process; gang.is_running until the journal knows */
    enum err launch_error;  /* it could not be started: `text` says why */
};

#define LOOP_MAX_EVENTS 256 /* heard together */
struct event {              /* a word of a gang that holds a current lease */
    struct attempt *attempt;
    struct wire_peer peer;
    Gw__FromWorker *message; /* owned */
    int entry, entry_count;  /* what is to be written of it: from this one on in loop->entries */
    char results_hash[HASH_HEX_BYTES];
};

struct loop {
    const struct loop_cfg *cfg;
    struct policy_state policy;
    struct wire *wire;
    char endpoint[JOURNAL_PATH + 16]; /* of gangs that are all on this machine */
    int port;                         /* of those that are not; 0: none are */
    char token[65];
    char socket_folder[JOURNAL_PATH]; /* "": none */
    int socket_lock;                  /* of the folder, as long as we live; -1: none */
    char mpi_folder[JOURNAL_PATH];    /* where MPI is used; its lock, else -1 */
    int mpi_lock;
    bool has_rendezvous;
    struct attempt attempts[LOOP_MAX_ATTEMPTS]; /* each stage's latest; behind them, helpers */
    struct shares *shares;
    struct {
        double looked_s;
        int before, lately; /* so many processes had been ended for want of memory */
    } oom;
    struct {
        bool is_full;
        double look_s, pause_s; /* for room: not before then, and so much later again */
        double ended_s;         /* was, last; 0: never */
        bool is_unwritten;      /* a stop did not wait for room: the journal lacks an end */
    } full;
    int stops_seen;
    struct bad_nodes bad_nodes;
    bool is_job_ending;   /* Slurm has told our gang of it before us */
    bool is_lost;         /* the run is another runner's */
    enum err first_error; /* of the first stage that failed for good */
    char first_text[JOURNAL_TEXT];
    char contents[PLAN_MAX_STAGES][HASH_HEX_BYTES]; /* final checkpoints of stages done */
    bool has_checkpoint[PLAN_MAX_STAGES]; /* that counts and is there: an attempt goes on from it */
    struct log_rate refused, sent_away;   /* messages */
    struct log_rate strangers;            /* connections */
    unsigned long long strangers_seen;
    uint8_t bytes[PROTOCOL_MAX_BYTES];
    bool is_answer_due;                  /* to one of the events */
    struct attempt *places[LOOP_PLACES]; /* by lease: where it was found last */
    int event_count, entry_count;
    struct event events[LOOP_MAX_EVENTS]; /* that were taken and not yet heard */
    int entry_room;
    struct journal_entry *entries; /* owned */
};

/* The policy's time: setting the clock must neither skip nor stretch a pause. */
static inline int64_t loop_now_ms(void)
{
    return (int64_t)(clock_seconds() * 1000);
}

static inline const char *loop_system_root(const struct loop *loop)
{
    return loop->cfg->system_root ? loop->cfg->system_root : "";
}

static inline void loop_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LEAVING_MS * 1000000L}, NULL);
}

/* The first that runs at `at` or behind; NULL: none. */
static inline struct attempt *attempt_running(struct loop *loop, struct attempt *at)
{
    for (; at < loop->attempts + LOOP_MAX_ATTEMPTS; at++)
        if (at->gang.is_running)
            return at;
    return NULL;
}
/* `at` is each attempt that runs. */
#define EACH_RUNNING(loop, at)                                                                     \
    struct attempt *at = attempt_running((loop), (loop)->attempts);                                \
    at;                                                                                            \
    at = attempt_running((loop), at + 1)

struct left_gangs;

/* loop_meet.c */
/* Opens where gangs find us, `left` ones where they look already, and tells a later runner of it.
 */
MUST_CHECK enum err loop_meet(struct loop *loop, struct left_gangs *left);
/* Makes another folder and socket where something has removed them: a run takes days, and temporary
 * folders are cleaned. No gang runs. */
MUST_CHECK enum err loop_renew_socket(struct loop *loop);
/* In loop->socket_folder, which is locked; where gangs are wide, on loop->port (0: a free one). */
MUST_CHECK enum err loop_open_wire(struct loop *loop);
void loop_close_socket(struct loop *loop);
void loop_close_mpi(struct loop *loop);

/* What an attempt that was asked to stop ended by. */
enum cause loop_stop_cause(const struct loop *loop);

/* loop_leftovers.c */
struct left_gangs { /* of a runner that died, which may go on under us */
    struct rendezvous rendezvous;
    int count;
    int stages[PLAN_MAX_STAGES]; /* of the graph */
    struct process processes[PLAN_MAX_STAGES];
    struct attempt_record records[PLAN_MAX_STAGES];
};
/* As loop_clear_leftovers(); *left: what it has spared. */
MUST_CHECK enum err leftovers_clear(const struct loop_cfg *cfg, struct left_gangs *left,
                                    int *count);
/* It ran on this machine, since its last start. */
bool leftover_is_here(const struct attempt_record *record);
/* Of the runner that made the folder. */
void leftover_endpoint(const char *socket_folder, char *endpoint, int room);
/* In the environment of the gangs that met their runner there. */
void leftover_mark(const char *socket_folder, char *mark, int room);

/* loop_adopt.c */
bool left_gangs_have(const struct left_gangs *left, uint64_t lease_epoch);
/* Adds the attempt to those that are left if it is a gang's, its stage is asked for, its lease
 * current, its process alive, and we know where to meet it. Changes nothing else. */
MUST_CHECK enum err adopt_consider(const struct loop_cfg *cfg, const struct attempt_record *record,
                                   struct left_gangs *left);
/* Opens the socket where they look for it. After an error nothing is open, and they are to be
 * killed. */
MUST_CHECK enum err adopt_meet(struct loop *loop, const struct left_gangs *left);
/* From now on they run, and have to say a word within the limit. */
MUST_CHECK enum err adopt_all(struct loop *loop, const struct left_gangs *left);
/* Before a word of rank 0 is heard: people are told of the first one of an adopted gang. */
void adopt_hear_first(struct loop *loop, struct gang *gang, const Gw__FromWorker *message);
/* The runner before has written this warning of the gang down. */
bool adopt_has_told(struct loop *loop, const struct gang *gang, const char *warning);

/* loop_attempt.c */
/* Tells the policy which stages would be in the way of processes of earlier attempts that live
 * still, killed or not: their own, or, where a stage trains, any that did: one that waits for a
 * disk may hold the checkpoints, and an attempt beside it would fail. People are told. */
void attempts_hold(struct loop *loop);
/* The same of an attempt that was killed and has not ended. */
void attempt_await_end(struct loop *loop, struct attempt *attempt);
MUST_CHECK enum err attempt_start(struct loop *loop, int stage);
/* An attempt's new life; what it was is forgotten. */
void attempt_begin(struct loop *loop, struct attempt *attempt, int stage);
/* Starts what has a lease. A launch that fails is its end, and OK: the run may go on. ERR_FULL: it
 * runs, or has ended, and the journal does not know yet. */
MUST_CHECK enum err attempt_launch(struct loop *loop, struct attempt *attempt);
/* Writes down which process it is, where that is not done. */
MUST_CHECK enum err attempt_record(struct loop *loop, struct attempt *attempt);
/* What outlived its process leaves, watched by attempts_hold(). */
void attempt_leave(struct attempt *attempt);
/* Hex of the hash of what it made. ERR_AGAIN: the disk does not give it now;
 * otherwise as survey_hash_file(). */
MUST_CHECK enum err attempt_hash_result(const struct loop *loop, const char *results,
                                        char hash[HASH_HEX_BYTES]);
/* Completes an outcome with what is known of the gang: how long it took, its progress, the cause.
 */
void attempt_complete(const struct loop *loop, const struct gang *gang,
                      struct stage_outcome *outcome);
/* Whether the system has ended a process since it began, for want of memory: as far as the control
 * group, or Slurm in its log, tells. */
bool attempt_look_for_oom(struct loop *loop, const struct gang *gang);
/* What the end of a process means that has not said it: gang_judge_exit(), and what the system and
 * the disk tell of it. */
struct gang_end attempt_judge_exit(struct loop *loop, struct gang *gang,
                                   const struct process_end *end, char *text, int room);
/* Every turn: remembers how many there were before lately. */
void attempt_watch_oom(struct loop *loop);
/* Its process ended without a word: writes the outcome. ERR_FULL: it is as it was. */
MUST_CHECK enum err attempt_end(struct loop *loop, struct attempt *attempt,
                                const struct stage_outcome *outcome);
/* The same, of an outcome that is in the journal. */
void attempt_ended(struct loop *loop, struct attempt *attempt, const struct stage_outcome *outcome);
/* The process is gone: concludes, and makes room for the next. ERR_FULL: to be called again. */
MUST_CHECK enum err attempt_reap(struct loop *loop, struct attempt *attempt,
                                 const struct process_end *end);

/* loop_nodes.c */
/* A gang of a job ended by itself, as `why` and `text` say: which node did it, where it was one
 * before the first step, is added to both. */
void nodes_blame_end(const struct loop *loop, struct gang *gang, struct gang_end *why, char *text,
                     size_t room);
/* The same of one that has said why. */
void nodes_blame_word(const struct loop *loop, struct gang *gang, struct stage_outcome *outcome);
/* Its attempt has ended: the second such end in a row, and gangs do without the node. */
void nodes_judge(struct loop *loop, struct attempt *attempt);
/* What a person can do about it. */
void nodes_write_cure(const struct loop *loop, const struct gang *gang, char *cure, size_t room);

/* loop_full.c */
/* What an act on the journal returned: where its disk is full people are told, nothing is believed
 * that was to be written, and it is ERR_OK: it will be tried again. Other errors are passed on. */
MUST_CHECK enum err full_heed(struct loop *loop, enum err err);
/* The disk was full, and is, as far as is known: looks now and then. */
bool full_holds(struct loop *loop);
/* There is room for what a start writes. Where there is none people are told. */
bool full_allows_start(struct loop *loop);
/* ERR_FULL names a disk of the run that has no room now. */
MUST_CHECK enum err full_look(const struct loop *loop);

/* loop_listen.c */
/* Waits that long for words that want an answer, gathering others; then hears them all. Whoever
 * floods the socket must not keep us from anything else. What is refused is logged. Errors are the
 * journal's. */
MUST_CHECK enum err listen_all(struct loop *loop, int timeout_ms);
/* Hears one message without writing anything down; a gang whose last word it was has left_s. */
void listen_farewell(struct loop *loop, int timeout_ms);

/* loop_shares.c */
void hear_wanted(struct loop *loop, const struct event *event);
void hear_ready(struct loop *loop, struct event *event);
void note_measured(struct loop *loop, struct event *event);
void believe_measured(struct loop *loop, const struct attempt *by,
                      const struct measurement_bytes *measured);
void share_out(struct loop *loop); /* to every gang that is ready */

/* loop_helpers.c */
MUST_CHECK enum err helper_start(struct loop *loop, int stage, enum policy_place place);
MUST_CHECK enum err helper_release(struct loop *loop, int stage); /* one of its helpers */
MUST_CHECK enum err helpers_let_go(struct loop *loop);            /* those whose gang has ended */
/* As attempt_reap(). */
MUST_CHECK enum err helper_reap(struct loop *loop, struct attempt *attempt,
                                const struct process_end *end);

/* loop_away.c */
/* Tells the policy how many helpers other nodes have room for, and of which stages they can read
 * the checkpoint. */
void away_look(struct loop *loop);
/* The next helper there is a job of its own: ours has no room for it. */
bool away_is_job(struct loop *loop);
/* The folder of a copy that holds what the stage reads, for gang->published. False: it is there no
 * more, and away_look() looks again. */
bool away_find(struct loop *loop, int stage, char folder[PUBLISHED_NAME]);

/* loop_hear.c */
/* Of an event: another thing to be written. Valid until the next one is added. */
struct journal_entry *add_entry(struct loop *loop, struct event *event, enum journal_verb verb);
/* The events that were taken; none is left, succeed or fail. What a full disk keeps from being
 * written is not acknowledged, and heard another time. */
MUST_CHECK enum err hear_all(struct loop *loop);

/* loop_tell.c */
/* What the gang has to know: its assignment, a stop, a bye, or that we live; it has a peer. */
void tell_orders(struct loop *loop, struct attempt *attempt);
void tell_pulse(struct loop *loop, struct attempt *attempt);   /* once a second */
void tell_at_once(struct loop *loop, struct attempt *attempt); /* if it has a peer */
void tell_known(struct loop *loop, const struct gang *gang, const struct measurement_bytes *known);
/* The gang's newest, with its number. */
void tell_share(struct loop *loop, const struct gang *gang, const struct score *scores, int count);
void tell_accepted(struct loop *loop, const struct gang *gang, uint64_t sequence);
/* Names the lease that is void: the gang may hold a newer one. */
void tell_bye(struct loop *loop, const struct wire_peer *peer, uint64_t lease_epoch,
              const char *reason);

/* Tells the view, where it listens. */
#define VIEW(loop, what, ...)                                                                      \
    do {                                                                                           \
        const struct loop_view *view_ = (loop)->cfg->view;                                         \
        if (view_ && view_->what)                                                                  \
            view_->what(view_->own, __VA_ARGS__);                                                  \
    } while (0)

#endif
