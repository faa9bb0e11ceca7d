/* What daemon.c (the loop), daemon_requests.c (what people ask) and daemon_runs.c (the runners)
 * share. Nobody else includes it. */
#ifndef CLUSTER_DAEMON_DAEMON_INTERNAL_H
#define CLUSTER_DAEMON_DAEMON_INTERNAL_H

#include "base/log.h"
#include "cluster/daemon/campaign_runner.h"
#include "cluster/daemon/control_server.h"
#include "cluster/daemon/daemon.h"
#include "cluster/daemon/queue_store.h"
#include "cluster/page/page.h"

#define DAEMON_MAX_WAITING 1000 /* campaigns that are not over */
#define DAEMON_MAX_OVER    1000 /* that are: the oldest are forgotten */

struct entry {
    struct submitted submitted;    /* as the store has it */
    struct campaign_runner runner; /* of one that has a runner */
    struct queue_reason reason;    /* of one that waits, as of the last turn */
};

struct daemon {
    struct daemon_cfg cfg;
    struct queue_store *store;
    struct control_server *server;
    struct control_server *remote; /* for other machines; NULL: none is wanted */
    struct page *page;             /* NULL: none is wanted, or there can be none */
    struct entry **entries;        /* (count) owned, in the order of ids */
    int count, room;
    struct log_rate troubles;
    double starts_after_s; /* no start before: the store takes nothing */
};

/* The entry becomes `changed`, whose words it keeps, once the store has it. */
MUST_CHECK enum err daemon_change(struct daemon *daemon, struct entry *entry,
                                  const struct submitted *changed);
/* Takes the words of `submitted`. Returns borrowed. */
struct entry *daemon_append(struct daemon *daemon, const struct submitted *submitted);
MUST_CHECK enum err daemon_forget(struct daemon *daemon, struct entry *entry);
/* The runners' logs lie in its folder; returns owned. */
char *daemon_log_path(const struct daemon *daemon, const struct submitted *submitted);

/* daemon_remote.c: opens it, with the folder's key; makes that where there is none. */
MUST_CHECK enum err daemon_open_remote(struct daemon *daemon);

/* daemon_requests.c: a control_answer. */
void daemon_answer(void *own, const Gwd__Request *request, Gwd__Reply *reply, struct arena *arena);

/* daemon_runs.c */
void daemon_adopt(struct daemon *daemon, struct entry *entry);
/* What ended becomes what it is, what is to be stopped is asked, what may start is started. */
void daemon_look(struct daemon *daemon);
void daemon_schedule(struct daemon *daemon);
/* STOPPING, and `then` that. */
MUST_CHECK enum err daemon_stop(struct daemon *daemon, struct entry *entry,
                                enum submitted_state then, const char *text);
enum daemon_where { DAEMON_ANYWHERE, DAEMON_HERE }; /* here: not in Slurm */
int daemon_count_runners(const struct daemon *daemon, enum daemon_where where);

#endif
