/* One attempt of a stage while it runs: the process, what it has said, and how far its stopping has
 * got. Knows the protocol's words and the process, not the journal. One thread. */
#ifndef SCHEDULER_GANG_H
#define SCHEDULER_GANG_H

#include "base/published.h"
#include "base/wire/wire.h"
#include "scheduler/journal.h"
#include "scheduler/launch.h"
#include "scheduler/liveness.h"
#include "scheduler/protocol.pb-c.h"

struct gang_limits {  /* seconds */
    double hello_s;   /* from the start to the first word */
    double adopt_s;   /* the least for one that an earlier runner started, from our start */
    double silence_s; /* between two words of the gang */
    double stall_s;   /* between two words of progress */
    double rank_s;    /* a rank silent or still for so long is taken for hung (liveness.h) */
    double host_s;    /* a host stage, from its start to its end */
    double leave_s;   /* from the last word to the end of its processes */
};
struct gang_limits gang_limits_default(void);

struct gang_progress { /* the latest; texts are cut */
    uint64_t step, steps, reused;
    double epoch, images_per_second, loss, accuracy;
    char doing[32];
};

struct gang {
    bool is_running; /* a process is there */
    int stage;       /* index in the graph */
    bool is_host;
    bool is_helper;                 /* it measures for the gang that holds the stage's lease... */
    bool is_away;                   /* ...on another node than ours... */
    bool is_job;                    /* ...in a job of its own, which may wait long to begin... */
    char published[PUBLISHED_NAME]; /* ...where it reads this copy of the stores, inside the run's
                                       folder; "": the stores themselves */
    struct lease lease;
    struct process process;
    char log[JOURNAL_PATH]; /* inside the run's folder */
    struct wire_peer peer;
    bool has_peer;
    bool is_assigned; /* it has shown that the assignment came */
    double started_s, heard_s, moved_s;
    double adopted_s; /* when we took it over from an earlier runner; 0: we started it */
    double looked_s;  /* when it was last heard or watched */
    double left_s;    /* when its last word was said or a kill began; 0: not yet */
    double gone_s;    /* when its process was seen to have ended; 0: not yet */
    bool is_ending;   /* it has said its outcome, or is_ended */
    bool is_ended;    /* the journal has its outcome */
    bool has_progress;
    uint64_t first_step; /* of the stage, that it goes on from */
    bool made_progress;  /* a later checkpoint of it counted, or a measurement */
    uint64_t saved_step; /* of its last checkpoint that counted */
    uint64_t noted_step; /* of its last that is to be written, or was */
    int oom_kills;       /* before it began (oom.h); below 0: not known */
    bool is_out_of_memory;
    bool is_stop_asked, is_killed;
    double killed_s;     /* when, first */
    enum err killed_for; /* why, when we killed it */
    char reason[256];    /* in words */
    struct gang_progress progress;
    int helpers;              /* that measure for it */
    struct liveness liveness; /* of its ranks; the loop's to end */
    uint64_t share;   /* number of the last share it was given, or had from another scheduler */
    bool is_ready;    /* for another one */
    uint64_t warned;  /* sequence of the last warning that was shown: it may be said again */
    enum err outcome; /* of the stage, once is_ended... */
    enum cause cause; /* ...and why */
    char node[JOURNAL_NODE]; /* that ended it before its first step; "": none */
    int failures; /* such ends in a row without progress, of the stage; once it is judged */
};

void gang_heard(struct gang *gang, double now_s);
void gang_hear_rank(struct gang *gang, const Gw__RankAlive *alive, double now_s);
void gang_set_progress(struct gang *gang, const Gw__Progress *progress, double now_s);

/* Since its start, to the end of its process. */
static inline double gang_age_s(const struct gang *gang, double now_s)
{
    return (gang->gone_s > 0 ? gang->gone_s : now_s) - gang->started_s;
}

/* SIGKILL to the whole session; `why` and `code` are what the attempt ends with. */
void gang_kill(struct gang *gang, enum err code, const char *why, double now_s);

/* Kills a gang that broke a limit. Time in which we neither heard nor watched it does not count. */
void gang_watch(struct gang *gang, const struct gang_limits *limits, double now_s);

struct gang_end {
    enum err error;
    enum cause cause; /* CAUSE_NONE: what the error means */
};
/* What the end of the process means when the gang has not said it itself, and a sentence in text.
 * Exit codes of the interface keep their meaning. */
struct gang_end gang_judge_exit(const struct gang *gang, const struct process_end *end, char *text,
                                int room);
/* It was, or one of it may have been, killed with SIGKILL by somebody else than us. */
bool gang_was_killed(const struct gang *gang, const struct process_end *end);

#endif
