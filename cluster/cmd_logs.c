/* glowworm logs: the log of the stage that runs, or of a named one; followed from attempt to
 * attempt and stage to stage, until the run ends. */
#include "base/clock.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/log_file.h"
#include "cluster/next_command.h"
#include "cluster/queued_run.h"
#include "cluster/status/status_reader.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DEFAULT_LINES 20
#define MAX_LINES     100000000
#define LOOK_S        0.5 /* at the run's status */

struct request {             /* borrowed */
    const char *run, *stage; /* stage: NULL, the one that runs */
    long lines;
    bool follows;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                            {"lines", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    *request = (struct request){.lines = DEFAULT_LINES};
    for (int option; (option = getopt_long(argc, argv, "fn:", options, NULL)) != -1;) {
        if (option == 'f')
            request->follows = true;
        else if (option == 'n')
            TRY(text_to_int(optarg, 0, MAX_LINES, &request->lines) == ERR_OK
                    ? ERR_OK
                    : err_set(ERR_USAGE, "--lines: %s", err_text()));
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind < 1 || argc - optind > 2)
        TRY(err_set(ERR_USAGE, "name the folder of a run, and a stage of it or none"));
    request->run = argv[optind];
    request->stage = argv[optind + 1]; /* NULL behind the last */
out:
    return err;
}

static bool is_later(const struct stage_status *stage, const struct stage_status *than)
{
    return !than || stage->started_ms > than->started_ms ||
           (stage->started_ms == than->started_ms && stage > than);
}

/* Runs; else failed or began last. NULL: none has begun. */
static const struct stage_status *find_current(const struct run_status *status)
{
    const struct stage_status *best = run_status_first(status, STAGE_STATE_RUNNING);
    best = best ? best : run_status_first(status, STAGE_STATE_BACKING_OFF);
    best = best ? best : run_status_first(status, STAGE_STATE_FAILED);
    if (best)
        return best;
    for (int i = 0; i < status->stage_count; i++)
        if (status->stages[i].log[0] && is_later(&status->stages[i], best))
            best = &status->stages[i];
    return best;
}

/* Began next after it. NULL: none has. */
static const struct stage_status *find_next(const struct run_status *status,
                                            const struct stage_status *after)
{
    const struct stage_status *best = NULL;
    for (int i = 0; i < status->stage_count; i++) {
        const struct stage_status *stage = &status->stages[i];
        if (stage->log[0] && is_later(stage, after) && (!best || is_later(best, stage)))
            best = stage;
    }
    return best;
}

static void list_stages(const struct run_status *status, struct text *names)
{
    for (int i = 0; i < status->stage_count; i++)
        text_add(names, "%s%s", i ? ", " : "", status->stages[i].name);
}

static enum err choose(const struct request *request, const struct run_status *status,
                       const struct stage_status **stage)
{
    struct text names;
    text_init(&names);
    enum err err = ERR_OK;
    *stage = request->stage ? run_status_stage(status, request->stage) : find_current(status);
    list_stages(status, &names);
    if (!*stage && request->stage)
        err = err_set(ERR_NOT_FOUND, "%s has no stage \"%s\"; its stages: %s", request->run,
                      request->stage, text_get(&names));
    else if (!request->follows && (!*stage || !(*stage)->log[0]))
        err = err_set(ERR_NOT_FOUND, "%s of %s has begun: there is no log yet",
                      request->stage ? "that stage" : "no stage", request->run);
    text_fini(&names);
    return err;
}

struct follower {
    const struct request *request;
    struct found_status *found; /* the latest look */
    char stage[64];             /* whose log it is; "": none yet */
    int64_t attempt;
    struct log_file log;
};

/* The log of one attempt. It may not be there yet: the file is made when the attempt starts. */
static enum err open_attempt(struct follower *follower, const struct stage_status *stage,
                             int64_t attempt, long lines)
{
    enum err err = ERR_OK;
    char name[JOURNAL_PATH];
    snprintf(name, sizeof name, "logs/%s-%lld.log", stage->name, (long long)attempt);
    bool is_newest = attempt == stage->attempts;
    struct log_file opened;
    TRY(log_file_open(follower->request->run, is_newest ? stage->log : name, lines, &opened));
    log_file_close(&follower->log);
    follower->log = opened;
    follower->attempt = attempt;
    snprintf(follower->stage, sizeof follower->stage, "%s", stage->name);
    fprintf(stderr, "==> %s/%s <==\n", follower->request->run, is_newest ? stage->log : name);
out:
    return err == ERR_NOT_FOUND && follower->request->follows ? ERR_OK : err;
}

static bool is_over(const struct stage_status *stage)
{
    return stage->state == STAGE_STATE_DONE || stage->state == STAGE_STATE_FAILED ||
           stage->state == STAGE_STATE_WAITING;
}

/* Goes over to what has been written since, one attempt at a time, so that none is left out.
 * *has_more: it did, or may. */
static enum err go_over(struct follower *follower, bool *has_more)
{
    enum err err = ERR_OK;
    const struct run_status *status = &follower->found->status;
    const struct stage_status *stage = run_status_stage(status, follower->stage), *next = NULL;
    int64_t before = follower->attempt;
    *has_more = true;
    if (stage && follower->attempt < stage->attempts) {
        TRY(open_attempt(follower, stage, follower->attempt + 1, MAX_LINES));
        *has_more = follower->attempt != before;
        goto out;
    }
    if (!stage)
        TRY(choose(follower->request, status, &next));
    else if (is_over(stage) && !follower->request->stage)
        next = find_next(status, stage);
    if (next && next->log[0])
        TRY(open_attempt(follower, next, next->attempts,
                         stage ? MAX_LINES : follower->request->lines));
    *has_more = next && strcmp(follower->stage, next->name) == 0;
out:
    return err;
}

static bool has_ended(const struct follower *follower)
{
    const struct found_status *found = follower->found;
    const struct stage_status *stage = run_status_stage(&found->status, follower->stage);
    bool is_named_over = follower->request->stage && stage &&
                         (stage->state == STAGE_STATE_DONE || stage->state == STAGE_STATE_FAILED);
    return is_named_over || (found->runner != RUNNER_THERE && found->runner != RUNNER_SILENT);
}

/* The status is looked at before the log: what was written until then is shown before going over.
 */
static enum err follow_once(struct follower *follower, bool *is_ended)
{
    enum err err = ERR_OK;
    bool has_more = true;
    TRY(status_read(follower->request->run, follower->found));
    *is_ended = has_ended(follower);
    while (has_more) {
        if (follower->log.file >= 0)
            TRY(log_file_copy(&follower->log, stdout));
        TRY(go_over(follower, &has_more));
    }
out:
    return err;
}

static enum err nap_and_copy(struct follower *follower)
{
    enum err err = ERR_OK;
    for (double end = clock_seconds() + LOOK_S; clock_seconds() < end;) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (follower->log.file >= 0)
            TRY(log_file_copy(&follower->log, stdout));
    }
out:
    return err;
}

static enum err follow(struct follower *follower)
{
    enum err err = ERR_OK;
    bool is_ended = false;
    for (;;) {
        TRY(follow_once(follower, &is_ended));
        if (is_ended)
            break;
        TRY(nap_and_copy(follower));
    }
    if (follower->found->runner == RUNNER_GONE)
        fprintf(stderr, "the run's process is not there any more\n");
    else if (follower->found->runner == RUNNER_ENDED)
        fprintf(stderr, "the run has ended: %s\n", run_state_name(follower->found->status.state));
out:
    return err;
}

static enum err show_once(struct follower *follower)
{
    enum err err = ERR_OK;
    const struct stage_status *stage = NULL;
    TRY(choose(follower->request, &follower->found->status, &stage));
    TRY(open_attempt(follower, stage, stage->attempts, follower->request->lines));
    TRY(log_file_copy(&follower->log, stdout));
    bool is_running = follower->found->runner == RUNNER_THERE;
    char *run = next_command_word(follower->request->run);
    if (is_running)
        next_command("as it is written", "glowworm logs %s -f", run);
    next_command("of every stage", "glowworm status %s", run);
    mem_free(run);
out:
    return err;
}

enum err cmd_logs(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    struct follower follower = {.request = &request, .log = {.file = -1}};
    follower.found = mem_alloc(sizeof *follower.found);
    TRY(read_options(argc, argv, &request));
    TRY(queued_run_explain(request.run, status_read(request.run, follower.found)));
    TRY(request.follows ? follow(&follower) : show_once(&follower));
out:
    log_file_close(&follower.log);
    mem_free(follower.found);
    return err;
}
