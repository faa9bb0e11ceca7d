#include "scheduler/gang.h"
#include "base/clock.h"
#include "scheduler/protocol.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LEADER_S 10.0

struct gang_limits gang_limits_default(void)
{
    return (struct gang_limits){.hello_s = 60,
                                .adopt_s = 10,
                                .silence_s = PROTOCOL_SILENCE_S,
                                .stall_s = 1800,
                                .rank_s = 30,
                                .host_s = 3600,
                                .leave_s = 30};
}

static void skip_gap(struct gang *gang, double now_s)
{
    double gap_s = clock_gap(&gang->looked_s, now_s);
    gang->started_s += gap_s;
    gang->heard_s += gap_s;
    gang->moved_s += gap_s;
    if (gang->adopted_s > 0)
        gang->adopted_s += gap_s;
    if (gang->left_s > 0)
        gang->left_s += gap_s;
    if (gang->is_killed)
        gang->killed_s += gap_s;
    liveness_skip(&gang->liveness, gap_s);
}

void gang_heard(struct gang *gang, double now_s)
{
    skip_gap(gang, now_s);
    gang->heard_s = now_s;
}

void gang_hear_rank(struct gang *gang, const Gw__RankAlive *alive, double now_s)
{
    struct rank_word word = {.rank = alive->rank > INT_MAX ? -1 : (int)alive->rank,
                             .work = alive->work,
                             .polls = alive->polls,
                             .is_waiting = alive->is_waiting,
                             .host = alive->host,
                             .pid = alive->pid};
    skip_gap(gang, now_s);
    liveness_hear(&gang->liveness, &word, now_s);
}

void gang_set_progress(struct gang *gang, const Gw__Progress *progress, double now_s)
{
    struct gang_progress *mine = &gang->progress;
    mine->step = progress->step;
    mine->steps = progress->steps;
    mine->reused = progress->reused;
    mine->epoch = progress->epoch;
    mine->images_per_second = progress->images_per_second;
    mine->loss = progress->loss;
    mine->accuracy = progress->accuracy;
    snprintf(mine->doing, sizeof mine->doing, "%s", progress->doing);
    gang->has_progress = true;
    gang->moved_s = now_s;
}

void gang_kill(struct gang *gang, enum err code, const char *why, double now_s)
{
    if (!gang->is_killed) {
        gang->killed_for = code;
        snprintf(gang->reason, sizeof gang->reason, "%s", why);
    }
    gang->is_killed = true;
    gang->killed_s = now_s;
    if (gang->left_s == 0)
        gang->left_s = now_s;
    process_kill(&gang->process);
}

/* Its srun ends the ranks of other nodes, or has failed to. */
static void await_leader(struct gang *gang, double now_s)
{
    if (!gang->process.is_wide || now_s - gang->killed_s <= LEADER_S)
        return;
    gang->process.is_wide = false;
    process_signal(&gang->process, SIGKILL);
}

/* A host stage says nothing while it works. */
static void watch_host(struct gang *gang, const struct gang_limits *limits, double now_s)
{
    char why[128];
    if (now_s - gang->started_s <= limits->host_s)
        return;
    snprintf(why, sizeof why, "it did not end within %.0f s: it hangs, or its disk does",
             limits->host_s);
    gang_kill(gang, ERR_FAILED, why, now_s); /* it would hang again for as long */
}

/* A gang that was left while it started has as much time as any. Slurm may let a job wait for
 * hours.
 */
static bool is_mute(const struct gang *gang, const struct gang_limits *limits, double now_s)
{
    return !gang->has_peer && !gang->is_job && now_s - gang->started_s > limits->hello_s &&
           now_s - gang->adopted_s > limits->adopt_s;
}

/* The limit that a gang at work has broken, in words; false: none. */
static bool is_broken(const struct gang *gang, const struct gang_limits *limits, double now_s,
                      char *why, int room)
{
    if (is_mute(gang, limits, now_s) && gang->adopted_s > 0)
        snprintf(why, (size_t)room, "it was left running, and said nothing within %.0f s",
                 limits->adopt_s);
    else if (is_mute(gang, limits, now_s))
        snprintf(why, (size_t)room, "it said nothing within %.0f s of its start", limits->hello_s);
    else if (gang->has_peer && now_s - gang->heard_s > limits->silence_s)
        snprintf(why, (size_t)room, "it has been silent for %.0f s", limits->silence_s);
    else if (gang->has_peer && now_s - gang->moved_s > limits->stall_s)
        snprintf(why, (size_t)room, "it has made no progress for %.0f s", limits->stall_s);
    else
        return liveness_find_stalled(&gang->liveness, limits->rank_s, now_s, why, room) >= 0;
    return true;
}

void gang_watch(struct gang *gang, const struct gang_limits *limits, double now_s)
{
    char why[256];
    skip_gap(gang, now_s);
    if (!gang->is_running)
        return;
    if (gang->is_killed) {
        await_leader(gang, now_s);
    } else if (gang->left_s > 0 && now_s - gang->left_s > limits->leave_s) {
        snprintf(why, sizeof why, "its processes did not end within %.0f s", limits->leave_s);
        gang_kill(gang, ERR_PEER, why, now_s);
    } else if (gang->is_host) {
        watch_host(gang, limits, now_s);
    } else if (gang->left_s == 0 && is_broken(gang, limits, now_s, why, sizeof why)) {
        gang_kill(gang, ERR_PEER, why, now_s);
    }
}

/* What a program that could not say more meant by its exit code. */
static struct gang_end end_of_exit_code(int code)
{
    switch (code) {
    case 2:
    case 78:
        return (struct gang_end){.error = ERR_CONFIG};
    case 65:
        return (struct gang_end){.error = ERR_DATA};
    case 69:
    case 126:
    case 127:
        return (struct gang_end){.error = ERR_UNAVAILABLE};
    case 70:
        return (struct gang_end){ERR_PEER, CAUSE_BUG};
    case 71:
        return (struct gang_end){.error = ERR_MEMORY};
    case 74:
        return (struct gang_end){.error = ERR_IO};
    case 86:
        return (struct gang_end){.error = ERR_HELD};
    default: /* 75 too: worth another attempt */
        return (struct gang_end){ERR_PEER, CAUSE_CRASH};
    }
}

/* A shell and mpirun pass on a signal as 128 more than its number; 0: none. */
static int signal_of(const struct process_end *end)
{
    int passed_on = end->code > 128 && end->code < 128 + NSIG ? end->code - 128 : 0;
    return end->signal != 0 ? end->signal : passed_on;
}

bool gang_was_killed(const struct gang *gang, const struct process_end *end)
{
    return !gang->is_killed && signal_of(end) == SIGKILL;
}

/* What a damaged page of a store does to a process that reads it. */
static const char *damage_hint(const struct process_end *end)
{
    int number = signal_of(end);
    if (number != SIGSEGV && number != SIGBUS)
        return "";
    return "; a store may be damaged: see \"glowworm dataset verify\" and \"glowworm checkpoint "
           "verify\"";
}

/* It ended by itself, and nobody had asked it to. */
static struct gang_end judge_failure(const struct gang *gang, const struct process_end *end,
                                     char *text, int room)
{
    const char *hint = damage_hint(end);
    bool is_bug = signal_of(end) == SIGABRT;
    if (end->signal != 0)
        snprintf(text, (size_t)room, "ended by signal %d (%s)%s", end->signal,
                 strsignal(end->signal), hint);
    else
        snprintf(text, (size_t)room, "ended with exit code %d%s%s", end->code,
                 gang->is_host ? "" : " without a word", hint);
    if (is_bug)
        return (struct gang_end){ERR_PEER, CAUSE_BUG};
    if (end->signal != 0)
        return (struct gang_end){ERR_PEER, CAUSE_CRASH};
    if (gang->is_host && end->code == 1)
        return (struct gang_end){.error = ERR_FAILED};
    return end_of_exit_code(end->code);
}

struct gang_end gang_judge_exit(const struct gang *gang, const struct process_end *end, char *text,
                                int room)
{
    if (gang->is_killed) {
        snprintf(text, (size_t)room, "ended by us: %s", gang->reason);
        return (struct gang_end){.error = gang->killed_for};
    }
    bool is_unknown = end->code < 0 && end->signal == 0; /* an earlier runner's child */
    bool is_stopped = gang->is_host ? signal_of(end) == SIGTERM : end->code == 0 || is_unknown;
    if (gang->is_stop_asked && is_stopped) { /* before it began, or between two files */
        snprintf(text, (size_t)room, "stopped as asked");
        return (struct gang_end){.error = ERR_INTERRUPTED};
    }
    if (is_unknown) {
        snprintf(
            text, (size_t)room,
            "ended without a word; an earlier runner started it, so its exit code is not known");
        return (struct gang_end){ERR_PEER, CAUSE_CRASH};
    }
    if (gang->is_out_of_memory && gang_was_killed(gang, end)) {
        snprintf(text, (size_t)room, "the system ended one of its processes for want of memory");
        return (struct gang_end){.error = ERR_MEMORY};
    }
    return judge_failure(gang, end, text, room);
}
