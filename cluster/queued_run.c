#include "cluster/queued_run.h"
#include "base/mem.h"
#include "cluster/daemon/daemon_folder.h"
#include "cluster/daemon/queue_listing.h"
#include "cluster/daemon/submitted.h"
#include "cluster/real_name.h"
#include "cluster/slurm/submission.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_S 5.0 /* a name may just be mistyped */

/* Of several the newest. NULL: none has this folder. */
static const Gwd__Listed *find(const struct queue_listing *listing, const char *run_folder)
{
    const Gwd__Listed *found = NULL;
    for (int r = 0; r < listing->reply_count; r++)
        for (size_t i = 0; i < listing->replies[r]->n_listed; i++) {
            const Gwd__Listed *listed = listing->replies[r]->listed[i];
            if (strcmp(listed->submitted->run_folder, run_folder) == 0)
                found = listed;
        }
    return found;
}

static enum err tell(const char *run, const char *scheduler, const struct submitted *campaign,
                     const Gwd__Listed *listed)
{
    unsigned long long id = (unsigned long long)campaign->id;
    const char *between = listed->why[0] ? ": " : "";
    if (campaign->state == SUBMITTED_FAILED)
        return err_set(ERR_FAILED,
                       "%s has not begun: it was campaign %llu of the scheduler in %s, and failed"
                       "%s%.900s; its log is %s",
                       run, id, scheduler, between, listed->why, listed->log);
    return err_set(ERR_AGAIN,
                   "%s has not begun: it is campaign %llu of the scheduler in %s, %s%s%.900s; "
                   "\"glowworm queue\" shows it, \"glowworm queue remove %llu\" takes it out",
                   run, id, scheduler, submitted_state_name(campaign->state), between, listed->why,
                   id);
}

static enum err explain(const char *run, const char *scheduler, const struct queue_listing *listing,
                        const char *real, enum err otherwise)
{
    enum err err = ERR_OK;
    struct submitted campaign = {0};
    const Gwd__Listed *listed = find(listing, real);
    if (!listed)
        return otherwise;
    TRY(submitted_read(listed->submitted, &campaign));
    bool is_told = !submitted_is_over(&campaign) || campaign.state == SUBMITTED_FAILED;
    err = is_told ? tell(run, scheduler, &campaign, listed) : otherwise;
out:
    submitted_fini(&campaign);
    return err;
}

/* Where it cannot be asked, it knows of no run. */
static enum err ask_scheduler(const char *run, enum err otherwise)
{
    enum err err = ERR_OK, told = otherwise;
    char scheduler[DAEMON_PATH], real[SUBMITTED_PATH];
    const struct control_client_cfg cfg = {.answer_s = ANSWER_S};
    struct control_client *client = NULL;
    struct queue_listing listing = {0};
    TRY(daemon_folder_find(NULL, scheduler));
    TRY(real_name(run, real, sizeof real));
    TRY(control_client_open(&cfg, &client));
    TRY(queue_listing_ask(client, &listing));
    told = explain(run, scheduler, &listing, real, otherwise);
out:
    queue_listing_fini(&listing);
    control_client_close(&client);
    return told;
}

enum err queued_run_explain(const char *run_folder, enum err err)
{
    err = submission_explain(run_folder, err);
    if (err != ERR_NOT_FOUND)
        return err;
    char *text = mem_string(err_text());
    err = ask_scheduler(run_folder, err);
    if (err == ERR_NOT_FOUND)
        err_set(err, "%s", text);
    mem_free(text);
    return err;
}
