/* glowworm cancel: leaves a stop file for a run's runner, and waits for its end if told to. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/next_command.h"
#include "cluster/queued_run.h"
#include "cluster/status/status_reader.h"
#include "cluster/status/stop_file.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum err read_options(int argc, char **argv, bool *waits)
{
    static const struct option options[] = {{"wait", no_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'w')
            TRY(err_set(ERR_USAGE, "that option is not known"));
        *waits = true;
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name the folder of one run"));
out:
    return err;
}

/* Nobody would take a stop file, or the wrong one. */
static enum err check_runner(const struct found_status *found, const char *run)
{
    switch (found->runner) {
    case RUNNER_ENDED:
        return err_set(ERR_UNAVAILABLE,
                       "%s does not run: it has ended (%s); where \"glowworm queue\" lists it as "
                       "waiting, \"glowworm queue remove ID\" keeps it from going on",
                       run, run_state_name(found->status.state));
    case RUNNER_GONE:
        return err_set(ERR_UNAVAILABLE,
                       "%s does not run: its process %lld on %s is not there any more; \"glowworm "
                       "run\" continues it",
                       run, (long long)found->status.pid, found->status.host);
    case RUNNER_UNKNOWN:
        return err_set(ERR_UNAVAILABLE,
                       "%s was run by an earlier version, which looks for no stop file: if it "
                       "still runs, send its process SIGINT",
                       run);
    case RUNNER_THERE:
    case RUNNER_SILENT:
        break;
    }
    return ERR_OK;
}

/* The runner takes only its own user's word. */
static enum err check_owner(const char *run)
{
    struct stat status;
    char *path = file_join(run, "published/status.json");
    bool is_ours = geteuid() == 0 || (lstat(path, &status) == 0 && status.st_uid == geteuid());
    mem_free(path);
    return is_ours ? ERR_OK
                   : err_set(ERR_UNAVAILABLE,
                             "%s is run by another user, who alone (or root) may stop it", run);
}

static enum err judge_end(const struct found_status *found, const char *run)
{
    const struct run_status *status = &found->status;
    if (found->runner == RUNNER_GONE)
        return err_set(ERR_FAILED,
                       "the process of %s vanished without a last word: \"glowworm logs %s\" shows "
                       "how far it came, \"glowworm run\" continues it",
                       run, run);
    if (status->state == RUN_STATE_FAILED)
        return err_set(ERR_FAILED, "%s failed: %s", run, status->text);
    fprintf(stderr, "%s: %s\n", run,
            status->state == RUN_STATE_DONE ? "was done before it could stop" : "stopped");
    return ERR_OK;
}

/* As long as it takes. Another runner than the one that was asked: that one has ended. */
static enum err wait_for_end(const char *run, struct found_status *found)
{
    enum err err = ERR_OK;
    int64_t pid = found->status.pid, started = found->status.started_ms;
    bool is_silent = false;
    for (;;) {
        TRY(status_read_published(run, found));
        bool is_another = found->status.pid != pid || found->status.started_ms != started;
        if (is_another || found->runner == RUNNER_ENDED || found->runner == RUNNER_GONE)
            break;
        if (found->runner == RUNNER_SILENT && !is_silent)
            fprintf(stderr, "%s: no word from its runner on %s for %.0f s\n", run,
                    found->status.host, found->age_s);
        is_silent = found->runner == RUNNER_SILENT;
        nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
    }
    TRY(judge_end(found, run));
out:
    return err;
}

enum err cmd_cancel(int argc, char **argv)
{
    enum err err = ERR_OK;
    bool waits = false;
    enum stop_asked asked = STOP_ASKED_NOW;
    struct found_status *found = mem_alloc(sizeof *found);
    char *word = NULL;
    TRY(read_options(argc, argv, &waits));
    const char *run = argv[optind];
    word = next_command_word(run);
    TRY(queued_run_explain(run, status_read(run, found)));
    TRY(check_runner(found, run));
    TRY(check_owner(run));
    TRY(stop_file_leave(run, &found->status, &asked));
    fprintf(stderr, "process %lld on %s is asked to stop%s: it ends its step, saves and ends\n",
            (long long)found->status.pid, found->status.host,
            asked == STOP_ASKED_BEFORE ? ", as it was before" : "");
    if (waits)
        TRY(wait_for_end(run, found));
    else
        next_command("how far it is", "glowworm status %s", word);
    if (waits && found->status.command[0])
        next_command("goes on", "cd %s && %s", found->status.work_folder, found->status.command);
out:
    mem_free(word);
    mem_free(found);
    return err;
}
