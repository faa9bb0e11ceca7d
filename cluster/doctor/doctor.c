#include "cluster/doctor/doctor.h"
#include "base/clock.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const struct check doctor_checks[] = {
    {"campaign", check_campaign, 20},
    {"programs", check_programs, 5},
    {"MPI", check_mpi, 30},
    {"GPU", check_gpu, 15},
    {"run folder", check_run_folder, 5},
    {"shared memory", check_shared_memory, 5},
    {"memory", check_memory, 5},
    {"processor", check_processor, 5},
    {"limits", check_limits, 5},
    {"clock", check_clock, 5},
    {"keys", check_keys, 5},
    {"Slurm", check_slurm, 15},
    {NULL, NULL, 0},
};

/* One write of less than PIPE_BUF: whole or not at all. */
_Static_assert(sizeof(struct finding) <= 4096, "a finding is written in one piece");

void finding_add(struct findings *findings, enum finding_level level, const char *cure,
                 const char *format, ...)
{
    struct finding finding = {.level = level};
    va_list list;
    snprintf(finding.check, sizeof finding.check, "%s", findings->check);
    snprintf(finding.cure, sizeof finding.cure, "%s", cure);
    va_start(list, format);
    vsnprintf(finding.reason, sizeof finding.reason, format, list);
    va_end(list);
    ssize_t written = write(findings->out, &finding, sizeof finding);
    (void)written;
}

static _Noreturn void run_in_child(const struct check *check, const struct doctor_subject *subject,
                                   int out)
{
    struct findings findings = {check->name, out};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    check->run(subject, &findings);
    _exit(0);
}

/* True: another one. */
static bool read_finding(int in, double end_s, struct finding *finding)
{
    double left = end_s - clock_seconds();
    struct pollfd ready = {.fd = in, .events = POLLIN};
    if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) <= 0)
        return false;
    return read(in, finding, sizeof *finding) == (ssize_t)sizeof *finding;
}

static void report(const struct check *check, void (*found)(void *own, const struct finding *),
                   void *own, const char *cure, const char *reason)
{
    struct finding finding = {.level = FINDING_PROBLEM};
    snprintf(finding.check, sizeof finding.check, "%s", check->name);
    snprintf(finding.cure, sizeof finding.cure, "%s", cure);
    snprintf(finding.reason, sizeof finding.reason, "%s", reason);
    found(own, &finding);
}

/* Not waited for when it does not end: it waits for a disk, and ends with us or later. */
static void judge_end(const struct check *check, pid_t child, double end_s,
                      void (*found)(void *own, const struct finding *), void *own)
{
    char reason[128];
    int status = 0;
    pid_t ended = 0;
    bool is_over = clock_seconds() >= end_s;
    if (is_over)
        kill(-child, SIGKILL);
    for (int i = 0; i < 100 && ended == 0; i++) {
        ended = waitpid(child, &status, WNOHANG);
        if (ended == 0)
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    snprintf(reason, sizeof reason, "no answer for %.0f s", check->limit_s);
    if (is_over || ended == 0) {
        report(check, found, own, "look for a file server or a service that hangs", reason);
    } else if (WIFSIGNALED(status)) {
        snprintf(reason, sizeof reason, "the check itself died of signal %d", WTERMSIG(status));
        report(check, found, own, "report it", reason);
    }
}

void doctor_run(const struct check *check, const struct doctor_subject *subject,
                void (*found)(void *own, const struct finding *finding), void *own)
{
    int ends[2];
    struct finding finding;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        report(check, found, own, "see limits", strerror(errno));
        return;
    }
    pid_t child = fork();
    if (child == 0)
        run_in_child(check, subject, ends[1]);
    close(ends[1]);
    double end = clock_seconds() + check->limit_s;
    while (child > 0 && read_finding(ends[0], end, &finding))
        found(own, &finding);
    close(ends[0]);
    if (child > 0)
        judge_end(check, child, end, found, own);
    else
        report(check, found, own, "end some of your processes, or see limits",
               "no process can be started");
}
