/* A child process in a session of its own, its output appended to a log file. The session is what
 * is killed: Open MPI puts every rank into a process group of its own, so a group would not catch
 * them. What it has others start for it (srun: ranks that are Slurm's children) is in no session of
 * ours and is known by a mark in its environment. Linux: reads /proc. The thread that starts a
 * process must outlive it, unless the process may outlive us (the kernel ends the child with it).
 * What another process of ours started, and left running, is watched and killed like a child; its
 * exit code nobody knows. */
#ifndef SCHEDULER_PROCESS_H
#define SCHEDULER_PROCESS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define PROCESS_MARK 256

struct process {
    int64_t pid;             /* leads its session; 0: none */
    uint64_t started_ticks;  /* since boot: tells it from a later process of the same number */
    char mark[PROCESS_MARK]; /* "NAME=value": who carries it belongs to it too; "": nobody else */
    bool is_wide;            /* it alone (srun) can end what it has on other nodes */
};

struct process_cfg {
    const char *const *argv;        /* NULL at the end; argv[0] is looked up in PATH */
    const char *const *environment; /* "NAME=value" set over ours, NULL at the end */
    const char *log_path;           /* appended to */
    bool may_outlive_us;            /* else it gets SIGTERM when we die */
    bool holds_requests; /* SIGUSR1 waits until the program takes it from its mask, once it can hear
                          */
    const char *work_folder; /* where it begins; NULL: where we are */
    /* Called when the process is there and is not its program yet: with an error, or when we die
     * before it returns, it never becomes that. NULL: there is nothing to be noted first. */
    enum err (*note)(void *own, const struct process *process);
    void *own;
};

/* ERR_UNAVAILABLE when there is no such program; ERR_AGAIN when the machine is short of something
 * or a disk does not answer now (EAGAIN, ESTALE, EIO, ...); ERR_FULL, ERR_IO; what `note` returns.
 * Standard input is empty. */
MUST_CHECK enum err process_start(const struct process_cfg *cfg, struct process *process);

struct process_end {
    bool has_ended;
    int code;   /* exit code, -1 when a signal ended it */
    int signal; /* 0: none */
};
/* Whether any child of ours has ended and was not polled since: one call where very many live. */
bool process_any_has_ended(void);
/* Does not wait. After the end the process is forgotten by the system; ask no more. Of one that is
 * not our child: code -1, signal 0. */
struct process_end process_poll(const struct process *process);

/* It lives and leads its session; one that has ended and waits for its parent does not live. */
bool process_lives(const struct process *process);
/* Was it started with this setting ("NAME=value") in its environment? */
bool process_is_marked(const struct process *process, const char *mark);

/* A signal to every process of the session, and to those that carry its mark; returns how many
 * there were. A session whose number belongs to a later one has none. */
int process_signal(const struct process *process, int signal);

/* SIGKILL, but for the leader of a wide one, who is asked (SIGTERM) to end the rest with it: if it
 * has not ended after a while, process_signal() does it. Returns how many there were. */
int process_kill(const struct process *process);

/* The same processes, those that live: "4711 (state D), 4712 (state R)"; returns how many. One that
 * waits for a disk (D) does not end before the disk answers, whoever kills it. */
int process_list(const struct process *process, char *text, int room);

struct process_sessions { /* borrowed */
    const struct process *list;
    int count;
};
/* SIGKILL to every process that carries `mark` ("NAME=value") in its environment: what a runner
 * that died has left. spared: sessions that are left alone, and who carries their marks; NULL:
 * none. Returns how many. */
int process_kill_marked(const char *mark, const struct process_sessions *spared);
int process_count_marked(const char *mark);
/* As process_list(). */
int process_list_marked(const char *mark, const struct process_sessions *spared, char *text,
                        int room);

/* When a living process was started, in ticks since boot: with its number that is a name for it.
 * 0: there is none of this number. */
uint64_t process_started_ticks(int64_t pid);

/* Where a number is a process's: this machine since its last start, and in it, since containers
 * share that, the namespace of numbers. "<boot id>/<namespace> <host name>". */
void process_place(char *place, int room);
/* Whatever the machine is called meanwhile. A place of an earlier version has no namespace, and is
 * the same under the same name alone. */
bool process_place_is_same(const char *left, const char *right);

#endif
