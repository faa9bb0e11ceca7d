/* Slurm, where there is one, and the files that hold secrets. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/doctor/doctor.h"
#include "cluster/timed_command.h"
#include "scheduler/rendezvous.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLURM_S 10.0

void check_slurm(const struct doctor_subject *subject, struct findings *findings)
{
    static const char *const argv[] = {"sinfo", "-h", "-o", "%P %a %D", NULL};
    struct timed_result result;
    (void)subject;
    if (timed_command(argv, NULL, &(struct timed_limit){.most_s = SLURM_S}, &result) != ERR_OK) {
        finding_add(findings, FINDING_OK, "", "not here: runs start their gangs on this machine");
        return;
    }
    int first = (int)strcspn(result.output, "\n"), lines = 0;
    for (const char *at = result.output; *at; at++)
        lines += *at == '\n';
    if (result.is_over)
        finding_add(findings, FINDING_WARNING,
                    "ask whoever runs it whether slurmctld lives; local runs need none of it",
                    "sinfo did not answer for %.0f s", SLURM_S);
    else if (result.code != 0)
        finding_add(findings, FINDING_WARNING,
                    "look at SLURM_CONF and whether slurmctld lives; local runs need none of it",
                    "sinfo ends with %d: %.*s", result.code, first, result.output);
    else
        finding_add(findings, FINDING_OK, "", "%d partitions; the first: %.*s", lines, first,
                    result.output);
}

/* False: something is wrong with it. */
static bool check_secret(const char *path, struct findings *findings)
{
    struct stat status;
    char cure[256];
    if (lstat(path, &status) != 0)
        return true;
    snprintf(cure, sizeof cure, "chmod 600 %s", path);
    if (!S_ISREG(status.st_mode))
        finding_add(findings, FINDING_PROBLEM, "remove it", "%s is no regular file", path);
    else if (status.st_uid != geteuid())
        finding_add(findings, FINDING_PROBLEM, "use a run folder of your own",
                    "%s belongs to another user", path);
    else if (status.st_mode & 077)
        finding_add(findings, FINDING_PROBLEM, cure,
                    "%s is open to other users (mode %03o): whoever reads it can speak for a gang",
                    path, (unsigned)(status.st_mode & 0777));
    else
        return true;
    return false;
}

void check_keys(const struct doctor_subject *subject, struct findings *findings)
{
    static const char *const names[] = {RENDEZVOUS_NAME, "published/stop"};
    struct stat status;
    bool are_right = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = file_join(subject->run_folder, names[i]);
        are_right = check_secret(path, findings) && are_right;
        mem_free(path);
    }
    bool is_run = stat(subject->run_folder, &status) == 0 && S_ISDIR(status.st_mode);
    if (are_right)
        finding_add(findings, FINDING_OK, "",
                    is_run ? "what is secret in %s is its owner's alone"
                           : "%s is made with mode 0700",
                    subject->run_folder);
}
