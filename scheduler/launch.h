/* How a stage becomes a process: the argument list and environment of a gang, under mpirun
 * (launch_local.c), as a step of our job of Slurm or a job of its own (launch_slurm.c), or of a
 * host stage, `glowworm VERB`. Values go in as arguments, never through a shell. */
#ifndef SCHEDULER_LAUNCH_H
#define SCHEDULER_LAUNCH_H

#include "scheduler/allocation.h"
#include "scheduler/graph.h"
#include "scheduler/process.h"

struct launch_cfg {       /* borrowed; filled once */
    const char *mpirun;   /* program, "mpirun"; NULL: the worker alone, without MPI */
    const char *worker;   /* program: glowworm-worker */
    const char *glowworm; /* program: glowworm itself, for host stages */
    int ranks;
    const char *run_folder;
    const char *stores; /* where journal and checkpoints lie; NULL: in the run's folder */
    uint64_t claim;     /* ours of the run (base/fence.h); 0: it has none */
    const struct allocation *allocation; /* gangs are steps of it, instead of mpirun; NULL: none */
    struct gang_share share;             /* with it: what each gang gets of it */
    int nodes;        /* of a gang, ours the first; 0 or 1: all its ranks are on this one */
    const char *site; /* of Slurm, for jobs of gangs; NULL: the one that is there without a name */
};
/* A gang has ranks on other nodes. */
static inline bool launch_is_wide(const struct launch_cfg *cfg)
{
    return cfg->nodes > 1;
}
/* Ranks are on other nodes, and find us by a port. */
static inline bool launch_leaves_node(const struct launch_cfg *cfg)
{
    return launch_is_wide(cfg) || (cfg->allocation && cfg->share.away + cfg->share.jobs > 0);
}
/* What is this machine's alone lies there. */
static inline const char *launch_own_folder(const struct launch_cfg *cfg)
{
    return cfg->stores ? cfg->stores : cfg->run_folder;
}
/* The ranks of a gang find each other through MPI. */
static inline bool launch_has_mpi(const struct launch_cfg *cfg)
{
    return cfg->mpirun || cfg->allocation;
}

struct launch { /* of one attempt; borrowed */
    const struct graph_stage *stage;
    const char *target;   /* its name; "": of none */
    const char *endpoint; /* the runner's socket, or, where there is a port, only its name */
    int port;             /* where gangs leave our node: they find us by it instead */
    bool is_away;         /* with an allocation: on another node of it than ours... */
    bool is_job;          /* ...or in a job of its own */
    const char *token;
    const char *mpi_folder; /* where Open MPI keeps what it needs, with MPI */
    uint64_t lease_epoch;
    const char *log_path;
    const char *exclude; /* nodes that it is not to be on, "n2,n7"; "" or NULL: none */
};

/* ERR_IO, ERR_UNAVAILABLE when a program is not there. */
MUST_CHECK enum err launch_start(const struct launch_cfg *cfg, const struct launch *launch,
                                 struct process *process);

/* A gang that does nothing but find each other (glowworm-worker --check): whether gangs can be
 * started here. Errors as above. */
MUST_CHECK enum err launch_check(const struct launch_cfg *cfg, const char *mpi_folder,
                                 const char *log_path, struct process *process);

/* "GLOWWORM_GANG=<lease>@<endpoint>": in the environment of all of one gang, whoever started it. */
void launch_gang_mark(const char *endpoint, uint64_t lease_epoch, char *mark, int room);
/* A gang's ranks may be children of others: makes `process`, which is or was started for this lease
 * at this endpoint, reach them too. Those on other nodes its leader reaches. */
void launch_reach(const struct launch_cfg *cfg, const char *endpoint, uint64_t lease_epoch,
                  struct process *process);

/* Where a host stage's result is, inside the run's folder: what is hashed when it is done. */
void launch_host_result(const struct graph_stage *stage, const char *target, char *path, int room);

/* "GLOWWORM_ENDPOINT=<endpoint>": in the environment of everything launched, so that what a dead
 * runner left behind can be told from other processes. */
void launch_mark(const char *endpoint, char *mark, int room);

#endif
