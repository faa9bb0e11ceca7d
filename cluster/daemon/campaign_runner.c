#include "cluster/daemon/campaign_runner.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/room.h"
#include "cluster/log_file.h"
#include "cluster/status/status_reader.h"
#include "cluster/status/stop_file.h"
#include <signal.h>
#include <string.h>

#define MOST_WORDS_BEFORE 10
#define KEY_ROOM          64
#define PATIENCE_S        5.0 /* for a status that names it, and room for a stop file */

/* "ID-SUBMITTED-JOBS": of one submission to Slurm of one scheduler's campaign. */
static int add_slurm(const struct submitted *campaign, char key[KEY_ROOM], const char **argv)
{
    const char *words[] = {"slurm",
                           "submit",
                           "--wait",
                           "--once",
                           key,
                           "--site",
                           campaign->site,
                           "--run-folder",
                           campaign->run_folder};
    snprintf(key, KEY_ROOM, "%llu-%lld-%d", (unsigned long long)campaign->id,
             (long long)campaign->submitted_ms, campaign->jobs + !campaign->may_have_job);
    memcpy(argv, words, sizeof words);
    return (int)(sizeof words / sizeof *words);
}

enum err campaign_runner_start(const struct campaign_runner_cfg *cfg,
                               struct campaign_runner *runner)
{
    enum err err = ERR_OK;
    const struct submitted *campaign = cfg->campaign;
    char key[KEY_ROOM];
    int before = 1;
    const char **argv =
        mem_array((size_t)campaign->word_count + MOST_WORDS_BEFORE + 1, sizeof *argv);
    struct process_cfg process = {.argv = argv,
                                  .log_path = cfg->log_path,
                                  .may_outlive_us = true,
                                  .holds_requests = submitted_is_for_slurm(campaign),
                                  .work_folder = campaign->work_folder,
                                  .note = cfg->note,
                                  .own = cfg->own};
    argv[0] = cfg->glowworm;
    if (submitted_is_for_slurm(campaign))
        before += add_slurm(campaign, key, argv + 1);
    else
        argv[before++] = "run";
    for (int i = 0; i < campaign->word_count; i++)
        argv[before + i] = campaign->words[i];
    *runner = (struct campaign_runner){.end = {.has_ended = true, .code = -1}};
    TRY(process_start(&process, &runner->process));
    runner->end = (struct process_end){0};
    runner->is_ours = true;
out:
    mem_free(argv);
    return err;
}

static bool is_of_this_start(const struct submitted *campaign)
{
    char place[192];
    process_place(place, sizeof place);
    return process_place_is_same(place, campaign->place);
}

void campaign_runner_adopt(const struct submitted *campaign, struct campaign_runner *runner)
{
    *runner = (struct campaign_runner){
        .process = {.pid = campaign->pid, .started_ticks = campaign->started_ticks},
        .may_be_asked = campaign->state == SUBMITTED_STOPPING};
    if (!is_of_this_start(campaign) || !process_lives(&runner->process))
        runner->end = (struct process_end){.has_ended = true, .code = -1};
}

bool campaign_runner_runs(struct campaign_runner *runner)
{
    if (!runner->end.has_ended)
        runner->end = process_poll(&runner->process);
    return !runner->end.has_ended;
}

/* Its status says of the very process that we know. */
static bool is_by(const struct run_status *status, const struct submitted *campaign)
{
    return status->pid == campaign->pid &&
           status->started_ticks == (int64_t)campaign->started_ticks &&
           process_place_is_same(status->place, campaign->place);
}

static bool leave_stop_file(const struct submitted *campaign)
{
    enum stop_asked asked;
    struct found_status *found = mem_alloc(sizeof *found);
    bool is_left = status_read_published(campaign->run_folder, found) == ERR_OK &&
                   is_by(&found->status, campaign) &&
                   stop_file_leave(campaign->run_folder, &found->status, &asked) == ERR_OK;
    mem_free(found);
    return is_left;
}

static bool send_signal(const struct process *process, int signal)
{
    return process_lives(process) && kill((pid_t)process->pid, signal) == 0;
}

/* A signal may have been sent by the daemon before us, and a second one would cost steps; a stop
 * file counts once, whatever came before it. */
void campaign_runner_stop(struct campaign_runner *runner, const struct submitted *campaign)
{
    if (runner->is_asked || runner->end.has_ended)
        return;
    if (submitted_is_for_slurm(campaign)) { /* who may be asked so any number of times */
        runner->is_asked = send_signal(&runner->process, SIGUSR1);
        return;
    }
    runner->tried_s = runner->tried_s > 0 ? runner->tried_s : clock_seconds();
    bool is_late = clock_seconds() - runner->tried_s > PATIENCE_S;
    if (runner->may_be_asked && !is_late)
        runner->is_asked = leave_stop_file(campaign);
    else
        runner->is_asked = send_signal(&runner->process, SIGTERM);
    if (runner->is_asked && is_late)
        log_warn("campaign %llu takes no stop file: its runner was sent SIGTERM",
                 (unsigned long long)campaign->id);
}

/* Where it is, or will be. */
static bool has_no_room(const char *run_folder)
{
    char *folder = mem_string(run_folder);
    for (char *slash; !file_is_folder(folder) && (slash = strrchr(folder, '/')) != folder;)
        *slash = '\0';
    bool is_full = room_check(folder, ROOM_BYTES) == ERR_FULL;
    mem_free(folder);
    return is_full;
}

void campaign_runner_look(const struct campaign_runner *runner, const struct submitted *campaign,
                          const char *log_path, struct runner_traces *traces,
                          struct runner_seen *seen)
{
    struct found_status *found = mem_alloc(sizeof *found);
    bool is_read = status_read_published(campaign->run_folder, found) == ERR_OK;
    traces->status = mem_alloc(sizeof *traces->status);
    *traces->status = found->status;
    log_file_last_line(log_path, traces->last_words, sizeof traces->last_words);
    *seen = (struct runner_seen){
        .code = runner->end.code,
        .signal = runner->end.signal,
        .is_rebooted = !is_of_this_start(campaign),
        .status = is_read && is_by(traces->status, campaign) ? traces->status : NULL,
        .last_words = traces->last_words,
        .has_no_room = has_no_room(campaign->run_folder),
        .progress = is_read ? runner_progress(traces->status) : 0};
    mem_free(found);
}

void runner_traces_fini(struct runner_traces *traces)
{
    mem_free(traces->status);
    traces->status = NULL;
}
