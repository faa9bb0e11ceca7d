/* What the gangs' words mean. What has to last is gathered from all events, written in one
 * transaction, and only then believed and acknowledged. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/loop_internal.h"
#include <string.h>

static void hear_hello(struct loop *loop, struct attempt *attempt, const Gw__Hello *hello)
{
    struct gang *gang = &attempt->gang;
    gang->moved_s = clock_seconds();
    log_info("gang of %s: %u ranks on %s, %s", gang->lease.name, hello->ranks, hello->host,
             hello->lineage);
    if (gang->is_away) /* it may have waited so long that there is a newer copy */
        away_find(loop, gang->stage, gang->published);
    tell_orders(loop, attempt);
}

struct journal_entry *add_entry(struct loop *loop, struct event *event, enum journal_verb verb)
{
    if (loop->entry_count == loop->entry_room) {
        size_t bytes = (size_t)loop->entry_room * sizeof *loop->entries;
        loop->entry_room = loop->entry_room > 0 ? 2 * loop->entry_room : LOOP_MAX_EVENTS;
        loop->entries =
            mem_grow(loop->entries, bytes, (size_t)loop->entry_room * sizeof *loop->entries);
    }
    if (event->entry_count++ == 0)
        event->entry = loop->entry_count;
    struct journal_entry *entry = &loop->entries[loop->entry_count++];
    *entry = (struct journal_entry){.verb = verb, .lease = &event->attempt->gang.lease};
    return entry;
}

static void note_checkpoint(struct loop *loop, struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    const Gw__CheckpointSaved *saved = event->message->checkpoint;
    struct hash content;
    if (!hash_parse(saved->content, &content)) {
        log_warn_rate(&loop->refused, "gang of %s: a checkpoint named \"%.80s\" is refused",
                      gang->lease.name, saved->content);
        return;
    }
    if (saved->step < gang->noted_step) /* said again: a later one counts, or is about to */
        return;
    gang->noted_step = saved->step;
    add_entry(loop, event, JOURNAL_CHECKPOINT)->checkpoint = (struct journal_checkpoint){
        .step = saved->step, .steps = gang->progress.steps, .content = saved->content};
}

/* Said again until the gang has heard that we heard it: shown and written down once. */
static void note_warning(struct loop *loop, struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    if (event->message->sequence <= gang->warned)
        return;
    gang->warned = event->message->sequence;
    if (adopt_has_told(loop, gang, event->message->warning->text))
        return;
    add_entry(loop, event, JOURNAL_NOTE)->note = (struct journal_note){
        .kind = "warning", .stage = gang->lease.name, .text = event->message->warning->text};
}

static void note_end(struct loop *loop, struct event *event, const struct stage_outcome *outcome)
{
    struct gang *gang = &event->attempt->gang;
    gang->is_ending = true;
    struct journal_entry *entry = add_entry(loop, event, JOURNAL_END);
    entry->outcome = *outcome;
    attempt_complete(loop, gang, &entry->outcome);
}

static bool is_outside(const char *path)
{
    return strlen(path) >= JOURNAL_PATH || strstr(path, "..") || path[0] == '/';
}

static void note_done(struct loop *loop, struct event *event)
{
    const struct gang *gang = &event->attempt->gang;
    const Gw__Done *done = event->message->done;
    struct hash content;
    struct stage_outcome outcome = {.text = "",
                                    .content = done->content,
                                    .results = done->results,
                                    .results_hash = event->results_hash,
                                    .step = gang->progress.step,
                                    .images_per_second = gang->progress.images_per_second};
    bool is_training = loop->cfg->graph->stages[gang->stage].kind == STAGE_TRAIN;
    if ((is_training || done->content[0]) && !hash_parse(done->content, &content)) {
        outcome.error = ERR_DATA;
        outcome.text = "it reports no final checkpoint";
    } else if (is_outside(done->results)) {
        outcome.error = ERR_DATA;
        outcome.text = "it reports a result outside the run's folder";
    } else if (done->results[0]) {
        enum err read = attempt_hash_result(loop, done->results, event->results_hash);
        outcome.error = read == ERR_OK || read == ERR_AGAIN ? read : ERR_DATA;
        outcome.text = read == ERR_OK ? "" : "the result it reports cannot be read";
    }
    note_end(loop, event, &outcome);
}

static enum err err_of_worker(const Gw__Failed *failed)
{
    for (enum err code = ERR_FAILED; code <= ERR_INTERRUPTED; code++)
        if (strcmp(err_name(code), failed->error_name) == 0)
            return code;
    return failed->retryable ? ERR_PEER : ERR_FAILED;
}

static void note_failed(struct loop *loop, struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    const Gw__Failed *failed = event->message->failed;
    struct stage_outcome outcome = {.error = err_of_worker(failed),
                                    .text = failed->text,
                                    .content = "",
                                    .results = "",
                                    .results_hash = "",
                                    .step = failed->step,
                                    .images_per_second = gang->progress.images_per_second};
    /* a stop that nobody here asked for: somebody signalled the gang, which is worth a retry; but
     * Slurm tells the steps of a job that it preempts, and the job itself when their time is over.
     * A helper's job is not ours. */
    bool is_foreign = outcome.error == ERR_INTERRUPTED && !gang->is_stop_asked;
    if (is_foreign && loop->cfg->launch.allocation && !gang->is_job) {
        loop->is_job_ending = true;
    } else if (is_foreign) {
        outcome.error = ERR_PEER;
        outcome.cause = CAUSE_CRASH;
    }
    gang->is_out_of_memory =
        gang->is_out_of_memory || (outcome.error == ERR_PEER && attempt_look_for_oom(loop, gang));
    if (outcome.error == ERR_PEER && gang->is_out_of_memory) {
        outcome.error = ERR_MEMORY;
        outcome.text = "the system ended one of its ranks for want of memory";
    }
    nodes_blame_word(loop, gang, &outcome);
    note_end(loop, event, &outcome);
}

static bool shows_assignment(const Gw__FromWorker *message)
{
    if (message->body_case == GW__FROM_WORKER__BODY_HEARTBEAT)
        return message->heartbeat->is_assigned;
    return message->body_case != GW__FROM_WORKER__BODY_HELLO;
}

/* The connection that rank 0 speaks on. */
static void hear_gang(struct gang *gang, const struct event *event)
{
    gang_heard(gang, clock_seconds());
    gang->peer = event->peer; /* who connects again has another name, and says no second hello */
    gang->has_peer = true;
    gang->is_assigned = gang->is_assigned || shows_assignment(event->message);
}

/* What can be done at once, and what has to be written first. */
static void hear(struct loop *loop, struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    const Gw__FromWorker *message = event->message;
    if (message->body_case == GW__FROM_WORKER__BODY_RANK_ALIVE) {
        gang_hear_rank(gang, message->rank_alive, clock_seconds());
        return;
    }
    adopt_hear_first(loop, gang, message);
    hear_gang(gang, event);
    if (message->alive)
        gang_hear_rank(gang, message->alive, clock_seconds());
    switch (message->body_case) {
    case GW__FROM_WORKER__BODY_HELLO:
        hear_hello(loop, event->attempt, message->hello);
        break;
    case GW__FROM_WORKER__BODY_PROGRESS:
        gang_set_progress(gang, message->progress, clock_seconds());
        if (!gang->is_helper)
            VIEW(loop, progress, gang);
        break;
    case GW__FROM_WORKER__BODY_WANTED:
        hear_wanted(loop, event);
        break;
    case GW__FROM_WORKER__BODY_READY:
        hear_ready(loop, event);
        break;
    case GW__FROM_WORKER__BODY_MEASURED:
        note_measured(loop, event);
        break;
    case GW__FROM_WORKER__BODY_WARNING:
        note_warning(loop, event);
        break;
    case GW__FROM_WORKER__BODY_CHECKPOINT:
        if (!gang->is_ending)
            note_checkpoint(loop, event);
        break;
    case GW__FROM_WORKER__BODY_DONE:
        if (!gang->is_ending)
            note_done(loop, event);
        break;
    case GW__FROM_WORKER__BODY_FAILED:
        if (!gang->is_ending)
            note_failed(loop, event);
        break;
    default: /* a heartbeat */
        break;
    }
}

/* It is in the journal. */
static void believe(struct loop *loop, const struct event *event, const struct journal_entry *entry)
{
    struct gang *gang = &event->attempt->gang;
    switch (entry->verb) {
    case JOURNAL_CHECKPOINT:
        loop->has_checkpoint[gang->stage] = true;
        gang->saved_step = entry->checkpoint.step;
        gang->made_progress = gang->made_progress || gang->saved_step > gang->first_step;
        VIEW(loop, checkpoint, gang, entry->checkpoint.step);
        break;
    case JOURNAL_NOTE:
        VIEW(loop, warning, gang, entry->note.text);
        break;
    case JOURNAL_END:
        attempt_ended(loop, event->attempt, &entry->outcome);
        break;
    case JOURNAL_MEASUREMENT:
        believe_measured(loop, event->attempt, &entry->measurement);
        break;
    }
}

/* ERR_PEER from the journal: the lease is void. The gang is told to go; we go on. */
static bool is_void(const struct loop *loop, const struct event *event)
{
    return event->entry_count > 0 && loop->entries[event->entry].result == ERR_PEER;
}

static void answer(struct loop *loop, const struct event *event)
{
    const struct gang *gang = &event->attempt->gang;
    const Gw__FromWorker *message = event->message;
    if (is_void(loop, event)) {
        log_warn("gang of %s: a report of lease %llu does not count", gang->lease.name,
                 (unsigned long long)message->lease_epoch);
        tell_bye(loop, &event->peer, message->lease_epoch, "another gang has this stage");
        return;
    }
    for (int i = 0; i < event->entry_count; i++)
        believe(loop, event, &loop->entries[event->entry + i]);
    if (message->sequence > 0)
        tell_accepted(loop, gang, message->sequence);
    if (gang->is_ended && message->body_case != GW__FROM_WORKER__BODY_RANK_ALIVE)
        tell_bye(loop, &gang->peer, gang->lease.epoch, "the stage has ended");
}

static bool has_to_last(const struct event *event)
{
    switch (event->message->body_case) {
    case GW__FROM_WORKER__BODY_CHECKPOINT:
    case GW__FROM_WORKER__BODY_WARNING:
    case GW__FROM_WORKER__BODY_MEASURED:
    case GW__FROM_WORKER__BODY_DONE:
    case GW__FROM_WORKER__BODY_FAILED:
        return true;
    default:
        return false;
    }
}

/* The last word of a gang while the run stops: it need not wait for us any longer. Its lease stays
 * open, and the next runner ends it. */
static void let_go(struct loop *loop, const struct event *event, const struct journal_entry *entry)
{
    struct stage_outcome outcome = entry->outcome;
    outcome.error = ERR_INTERRUPTED;
    outcome.cause = loop_stop_cause(loop);
    loop->full.is_unwritten = true;
    attempt_ended(loop, event->attempt, &outcome);
    tell_accepted(loop, &event->attempt->gang, event->message->sequence);
    tell_bye(loop, &event->attempt->gang.peer, event->attempt->gang.lease.epoch,
             "the run stops, and its disk is full");
}

/* The run stops on a full disk. Scores that are not in the journal are measured again; a gang waits
 * for an answer to them before its last word. */
static void answer_without_room(struct loop *loop, const struct event *event,
                                const struct journal_entry *entry)
{
    if (entry->verb == JOURNAL_END)
        let_go(loop, event, entry);
    else if (entry->verb == JOURNAL_MEASUREMENT)
        tell_accepted(loop, &event->attempt->gang, event->message->sequence);
}

/* As if it had never been heard: the gang says it again. */
static void forget(struct loop *loop, const struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    const struct journal_entry *entry = &loop->entries[event->entry];
    bool is_warning = event->message->body_case == GW__FROM_WORKER__BODY_WARNING;
    if (gang->is_ended)
        return;
    gang->is_ending = false;
    gang->noted_step = gang->saved_step;
    if (event->entry_count == 0)
        return;
    if (is_warning && gang->warned >= event->message->sequence)
        gang->warned = event->message->sequence - 1;
    if (loop->policy.is_stopping)
        answer_without_room(loop, event, entry);
}

/* ERR_FULL: nothing of it is in the journal. */
static enum err write_all(struct loop *loop)
{
    if (loop->entry_count == 0)
        return ERR_OK;
    if (full_holds(loop))
        return ERR_FULL;
    return journal_write(loop->cfg->journal, loop->entries, loop->entry_count);
}

enum err hear_all(struct loop *loop)
{
    enum err err = ERR_OK;
    for (int i = 0; i < loop->event_count; i++)
        hear(loop, &loop->events[i]);
    enum err written = write_all(loop);
    TRY(full_heed(loop, written));
    for (int i = 0; i < loop->event_count; i++)
        if (written == ERR_FULL && has_to_last(&loop->events[i]))
            forget(loop, &loop->events[i]);
        else
            answer(loop, &loop->events[i]);
out:
    for (int i = 0; i < loop->event_count; i++)
        gw__from_worker__free_unpacked(loop->events[i].message, NULL);
    loop->event_count = loop->entry_count = 0;
    return err;
}
