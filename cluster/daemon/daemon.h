/* glowworm-scheduler: takes campaigns from people and runs them on this machine, by priority, each
 * with a process of its own, `glowworm run`, or hands them to Slurm, each as a job that a process
 * of its own waits for. It holds nothing that a run needs: killed, the runs go on, and the next one
 * on its folder finds them. Every change is in its store before it is acted on, or told. One
 * thread. */
#ifndef CLUSTER_DAEMON_DAEMON_H
#define CLUSTER_DAEMON_DAEMON_H

#include "cluster/daemon/queue_policy.h"
#include <signal.h>

struct daemon_cfg {       /* all borrowed */
    const char *folder;   /* absolute */
    const char *glowworm; /* the program */
    struct queue_capacity capacity;
    const volatile sig_atomic_t *stop_asked; /* how often it was asked to end */
    bool stops_runs;                         /* at its end: they go on when it is started again */
    const char *listen, *allow;              /* "tcp://..." and who may ask there; NULL: nobody */
    bool wants_page;                         /* of all campaigns (cluster/page) */
    int page_port;                           /* 0: any that is free */
};

/* Until it is asked to end. ERR_AGAIN names who has the folder; errors of queue_store_open(),
 * control_server_open(). */
MUST_CHECK enum err daemon_run(const struct daemon_cfg *cfg);

#endif
