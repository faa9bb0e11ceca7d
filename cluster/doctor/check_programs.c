/* The programs a run starts: the worker beside this one, and Open MPI, whose gangs are tried. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/campaign_run.h"
#include "cluster/doctor/doctor.h"
#include "cluster/timed_command.h"
#include "scheduler/launch.h"
#include "scheduler/mpi_folder.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_S 5.0
#define GANG_S    20.0
#define SLOW_S    5.0
#define INSTALL_MPI                                                                                \
    "install it (apt-get install openmpi-bin), or load your site's module; then: mpirun --version"

void check_campaign(const struct doctor_subject *subject, struct findings *findings)
{
    struct campaign_options *options = mem_alloc(sizeof *options);
    struct campaign_run *run = NULL;
    options->path = subject->campaign_path;
    if (!subject->campaign_path)
        finding_add(findings, FINDING_OK, "",
                    "none was named: \"glowworm doctor CAMPAIGN.yaml\" "
                    "looks at its data set, device and run folder too");
    else if (campaign_run_open(options, &run) != ERR_OK)
        finding_add(findings, FINDING_PROBLEM, "mend the file, or make what it names", "%s",
                    err_text());
    else
        finding_add(findings, FINDING_OK, "", "%s: %d stages, %u images to train on",
                    run->campaign.name, run->graph.count, run->train_images);
    campaign_run_close(&run);
    mem_free(options);
}

void check_programs(const struct doctor_subject *subject, struct findings *findings)
{
    if (access(subject->worker, X_OK) == 0)
        finding_add(findings, FINDING_OK, "", "%s is there", subject->worker);
    else
        finding_add(findings, FINDING_PROBLEM, "install it beside glowworm, as the build does",
                    "%s is not there", subject->worker);
}

/* True: mpirun is Open MPI's. */
static bool check_mpirun(struct findings *findings, char version[128])
{
    static const char *const argv[] = {"mpirun", "--version", NULL};
    static const char *const root[] = {"OMPI_ALLOW_RUN_AS_ROOT=1",
                                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", NULL};
    struct timed_result result;
    if (timed_command(argv, root, &(struct timed_limit){.most_s = VERSION_S}, &result) != ERR_OK) {
        finding_add(findings, FINDING_PROBLEM, INSTALL_MPI, "%s", err_text());
        return false;
    }
    if (result.is_over) {
        finding_add(findings, FINDING_PROBLEM, "look at what mpirun is: type -a mpirun",
                    "\"mpirun --version\" did not answer for %.0f s", VERSION_S);
        return false;
    }
    snprintf(version, 128, "%.*s", (int)strcspn(result.output, "\n"), result.output);
    if (result.code == 0 && strstr(version, "Open MPI"))
        return true;
    finding_add(findings, FINDING_PROBLEM, INSTALL_MPI,
                "mpirun is not Open MPI's: it says \"%.200s\" and ends with %d", version,
                result.code);
    return false;
}

struct gang_try {
    const struct doctor_subject *subject;
    const char *mpi_folder;
};

static enum err start_gang(void *own, const char *log_path, struct process *process)
{
    const struct gang_try *gang = own;
    struct launch_cfg cfg = {.mpirun = "mpirun", .worker = gang->subject->worker, .ranks = 2};
    return launch_check(&cfg, gang->mpi_folder, log_path, process);
}

/* The last line that says anything. */
static void last_line(const char *output, char line[256])
{
    line[0] = '\0';
    while (*output) {
        size_t size = strcspn(output, "\n");
        if (size > 0 && strspn(output, " -=") < size)
            snprintf(line, 256, "%.*s", (int)(size < 255 ? size : 255), output);
        output += size + (output[size] == '\n');
    }
}

static void judge_gang(const struct timed_result *result, const char *version,
                       struct findings *findings)
{
    char line[256];
    last_line(result->output, line);
    if (result->is_over)
        finding_add(findings, FINDING_PROBLEM,
                    "try it by hand: mpirun -n 2 hostname; a firewall or a host name that does not "
                    "resolve makes it hang",
                    "2 ranks did not find each other for %.0f s: %s", GANG_S, line);
    else if (result->code != 0 || !strstr(result->output, "2 ranks found each other"))
        finding_add(findings, FINDING_PROBLEM,
                    "try it by hand: mpirun -n 2 glowworm-worker --check",
                    "2 ranks do not start (exit code %d): %s", result->code, line);
    else if (result->seconds > SLOW_S)
        finding_add(findings, FINDING_WARNING,
                    "look at the load of the machine, and at name servers",
                    "%s; 2 ranks took %.1f s to find each other", version, result->seconds);
    else
        finding_add(findings, FINDING_OK, "", "%s; 2 ranks found each other in %.1f s", version,
                    result->seconds);
}

void check_mpi(const struct doctor_subject *subject, struct findings *findings)
{
    enum err err = ERR_OK;
    char version[128], folder[JOURNAL_PATH] = "";
    struct timed_result result;
    struct gang_try gang = {subject, folder};
    int lock = -1;
    if (!check_mpirun(findings, version))
        return;
    TRY(mpi_folder_make(folder, &lock));
    TRY(timed_process(start_gang, &gang, &(struct timed_limit){.most_s = GANG_S}, &result));
    judge_gang(&result, version, findings);
out:
    if (err != ERR_OK)
        finding_add(findings, FINDING_PROBLEM, "mend what it names", "%s: 2 ranks do not start: %s",
                    version, err_text());
    if (lock >= 0 && mpi_folder_remove(folder) == ERR_OK)
        close(lock);
}
