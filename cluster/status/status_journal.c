#include "cluster/status/status_journal.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/published.h"
#include <stdio.h>
#include <string.h>

static enum err recall(struct journal *journal, struct stage_status *row)
{
    enum err err = ERR_OK;
    struct hash key;
    struct stage_record record = {0};
    err = journal_current(journal, row->name, &key, NULL);
    if (err == ERR_OK)
        err = journal_stage(journal, &key, &record);
    if (err == ERR_NOT_FOUND) /* never started */
        return ERR_OK;
    TRY(err);
    stage_status_recall(row, &record);
    if (record.is_done)
        row->state = STAGE_STATE_DONE;
    else if (record.error != ERR_OK && record.error != ERR_INTERRUPTED)
        row->state = STAGE_STATE_FAILED;
    else
        snprintf(row->why, sizeof row->why, "begun, at step %lld", (long long)row->step);
    stage_record_fini(&record);
out:
    return err;
}

static enum err read_journal(const char *run_folder, struct run_status *status)
{
    enum err err = ERR_OK;
    struct journal *journal = NULL;
    char *path = published_find_store(run_folder, PUBLISHED_JOURNAL);
    TRY(journal_open(path, JOURNAL_READ, &journal));
    for (int i = 0; i < status->stage_count; i++)
        TRY(recall(journal, &status->stages[i]));
out:
    journal_close(&journal);
    mem_free(path);
    return err;
}

static void set_state(struct run_status *status)
{
    const struct stage_status *failed = run_status_first(status, STAGE_STATE_FAILED);
    bool is_done = run_status_count(status, STAGE_STATE_DONE) == status->stage_count;
    status->state = is_done ? RUN_STATE_DONE : failed ? RUN_STATE_FAILED : RUN_STATE_STOPPED;
    if (!failed || is_done)
        return;
    snprintf(status->error, sizeof status->error, "%s", failed->error);
    snprintf(status->text, sizeof status->text, "stage %s failed: %s", failed->name,
             failed->error_text);
}

/* The stages do not depend on the data set's classes or channels. */
static enum err list_stages(const char *path, struct run_status *status)
{
    enum err err = ERR_OK;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct space *space = mem_alloc(sizeof *space);
    struct schedule *schedule = mem_alloc(sizeof *schedule);
    struct plan *plan = mem_alloc(sizeof *plan);
    TRY(campaign_load(path, NULL, 0, campaign));
    TRY(campaign_space(campaign, 2, 1, space));
    campaign_schedule(campaign, space, schedule);
    campaign_expand(campaign, schedule, plan);
    snprintf(status->campaign, sizeof status->campaign, "%s", campaign->name);
    snprintf(status->device, sizeof status->device, "%s", campaign->resources.device);
    status->stage_count = plan->stage_count;
    for (int i = 0; i < plan->stage_count; i++) {
        struct stage_status *row = &status->stages[i];
        snprintf(row->name, sizeof row->name, "%s", plan->stages[i].name);
        snprintf(row->kind, sizeof row->kind, "%s", run_status_kind(plan->stages[i].kind));
    }
out:
    mem_free(plan);
    mem_free(schedule);
    mem_free(space);
    mem_free(campaign);
    return err;
}

enum err status_from_journal(const char *run_folder, struct run_status *status)
{
    enum err err = ERR_OK;
    char *path = file_join(run_folder, "campaign.yaml");
    run_status_init(status);
    snprintf(status->run_folder, sizeof status->run_folder, "%s", run_folder);
    if (!file_exists(path))
        TRY(err_set(ERR_NOT_FOUND,
                    "%s is not a run's folder: it has neither published/status.json nor a "
                    "campaign.yaml",
                    run_folder));
    TRY(list_stages(path, status));
    TRY(read_journal(run_folder, status));
    set_state(status);
out:
    mem_free(path);
    return err;
}
