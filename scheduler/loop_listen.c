/* The gangs' words; a lease's epoch says whose. Whoever does not know the token is not heard;
 * whoever holds a lease that is no longer current is told to go and changes nothing. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "scheduler/loop_internal.h"
#include <stdio.h>
#include <string.h>

static void send_to(struct loop *loop, const struct wire_peer *peer, const Gw__ToWorker *message)
{
    if (gw__to_worker__get_packed_size(message) > sizeof loop->bytes)
        BUG("a message to a gang larger than %zu bytes", sizeof loop->bytes);
    size_t size = gw__to_worker__pack(message, loop->bytes);
    /* a peer that has gone is noticed by its process or its silence */
    if (wire_send(loop->wire, peer, loop->bytes, size) != ERR_OK)
        log_debug("a message to the gang was not sent: %s", err_text());
}

static void tell(struct loop *loop, const struct gang *gang, Gw__ToWorker *message)
{
    message->lease_epoch = gang->lease.epoch;
    send_to(loop, &gang->peer, message);
}

static void tell_accepted(struct loop *loop, const struct gang *gang, uint64_t sequence)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Accepted accepted = GW__ACCEPTED__INIT;
    accepted.sequence = sequence;
    message.body_case = GW__TO_WORKER__BODY_ACCEPTED;
    message.accepted = &accepted;
    tell(loop, gang, &message);
}

/* Names the lease that is void: the gang may hold a newer one. */
static void tell_bye(struct loop *loop, const struct wire_peer *peer, uint64_t lease_epoch,
                     const char *reason)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Bye bye = GW__BYE__INIT;
    bye.reason = (char *)reason;
    message.body_case = GW__TO_WORKER__BODY_BYE;
    message.bye = &bye;
    message.lease_epoch = lease_epoch;
    send_to(loop, peer, &message);
}

static void tell_stop(struct loop *loop, const struct gang *gang)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Stop stop = GW__STOP__INIT;
    stop.reason = "a stop was asked for";
    message.body_case = GW__TO_WORKER__BODY_STOP;
    message.stop = &stop;
    tell(loop, gang, &message);
}

static void tell_alive(struct loop *loop, const struct gang *gang)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Pulse pulse = GW__PULSE__INIT;
    message.body_case = GW__TO_WORKER__BODY_PULSE;
    message.pulse = &pulse;
    tell(loop, gang, &message);
}

/* Where the stage starts: its own last checkpoint that counts, else the final one of the stage
 * before it. */
static void tell_assign(struct loop *loop, const struct gang *gang)
{
    const struct loop_cfg *cfg = loop->cfg;
    const struct graph_stage *stage = &cfg->graph->stages[gang->stage];
    char key[HASH_HEX_BYTES], own[HASH_HEX_BYTES] = "";
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Assign assign = GW__ASSIGN__INIT;
    struct stage_record record = {0};
    if (journal_stage(cfg->journal, &stage->key, &record) == ERR_OK)
        memcpy(own, record.checkpoint, sizeof own);
    stage_record_fini(&record);
    hash_hex(&stage->key, key);
    assign.campaign = (char *)cfg->campaign_path;
    assign.run_folder = (char *)cfg->run_folder;
    assign.stage = (char *)stage->name;
    assign.stage_index = (uint32_t)gang->stage;
    assign.stage_key = key;
    assign.is_resume = own[0] != '\0';
    assign.start = own;
    if (!assign.is_resume)
        assign.start = stage->start_stage >= 0 ? loop->contents[stage->start_stage] : "";
    assign.teacher = stage->teacher_stage >= 0 ? loop->contents[stage->teacher_stage] : "";
    assign.attempt = (uint32_t)gang->lease.attempt;
    message.body_case = GW__TO_WORKER__BODY_ASSIGN;
    message.assign = &assign;
    tell(loop, gang, &message);
}

/* What the gang has to know now; said again with every pulse, since any message may be lost. */
static void tell_orders(struct loop *loop, struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    attempt->pulse_s = clock_seconds();
    if (gang->is_ended)
        tell_bye(loop, &gang->peer, gang->lease.epoch, "the stage has ended");
    else if (gang->is_stop_asked) /* before it was assigned: nothing to save */
        tell_stop(loop, gang);
    else if (!gang->is_assigned)
        tell_assign(loop, gang);
    else
        tell_alive(loop, gang);
}

void tell_pulse(struct loop *loop, struct attempt *attempt)
{
    if (attempt->gang.has_peer && clock_seconds() - attempt->pulse_s >= PROTOCOL_PULSE_S)
        tell_orders(loop, attempt);
}

void tell_at_once(struct loop *loop, struct attempt *attempt)
{
    if (attempt->gang.has_peer)
        tell_orders(loop, attempt);
}

static void hear_hello(struct loop *loop, struct attempt *attempt, const Gw__Hello *hello)
{
    struct gang *gang = &attempt->gang;
    gang->moved_s = clock_seconds();
    log_info("gang of %s: %u ranks on %s, %s", gang->lease.name, hello->ranks, hello->host,
             hello->lineage);
    tell_orders(loop, attempt);
}

static enum err hear_checkpoint(struct loop *loop, struct gang *gang,
                                const Gw__CheckpointSaved *saved)
{
    enum err err = ERR_OK;
    struct hash content;
    if (!hash_parse(saved->content, &content)) {
        log_warn_rate(&loop->refused, "gang of %s: a checkpoint named \"%.80s\" is refused",
                      gang->lease.name, saved->content);
        return ERR_OK;
    }
    TRY(journal_checkpoint(loop->cfg->journal, &gang->lease, saved->step, gang->progress.steps,
                           saved->content));
    gang->made_progress = loop->has_checkpoint[gang->stage] = true;
    VIEW(loop, checkpoint, gang, saved->step);
out:
    return err;
}

/* Said again until the gang has heard that we heard it: shown and written down once. */
static enum err hear_warning(struct loop *loop, struct gang *gang, const Gw__Warning *warning,
                             uint64_t sequence)
{
    enum err err = ERR_OK;
    if (sequence <= gang->warned)
        return ERR_OK;
    TRY(journal_note(loop->cfg->journal, "warning", gang->lease.name, warning->text));
    gang->warned = sequence;
    VIEW(loop, warning, gang, warning->text);
out:
    return err;
}

static enum err hear_done(struct loop *loop, struct attempt *attempt, const Gw__Done *done)
{
    enum err err = ERR_OK;
    const struct gang *gang = &attempt->gang;
    struct hash content;
    char results_hash[HASH_HEX_BYTES] = "";
    struct stage_outcome outcome = {.text = "",
                                    .content = done->content,
                                    .results = done->results,
                                    .results_hash = results_hash,
                                    .step = gang->progress.step,
                                    .images_per_second = gang->progress.images_per_second};
    bool is_training = loop->cfg->graph->stages[gang->stage].kind == STAGE_TRAIN;
    if ((is_training || done->content[0]) && !hash_parse(done->content, &content)) {
        outcome.error = ERR_DATA;
        outcome.text = "it reports no final checkpoint";
    } else if (strlen(done->results) >= JOURNAL_PATH || strstr(done->results, "..") ||
               done->results[0] == '/') {
        outcome.error = ERR_DATA;
        outcome.text = "it reports a result outside the run's folder";
    } else if (done->results[0]) {
        enum err read = attempt_hash_result(loop, done->results, results_hash);
        outcome.error = read == ERR_OK || read == ERR_AGAIN ? read : ERR_DATA;
        outcome.text = read == ERR_OK ? "" : "the result it reports cannot be read";
    }
    TRY(attempt_end(loop, attempt, &outcome));
out:
    return err;
}

static enum err err_of_worker(const Gw__Failed *failed)
{
    for (enum err code = ERR_FAILED; code <= ERR_INTERRUPTED; code++)
        if (strcmp(err_name(code), failed->error_name) == 0)
            return code;
    return failed->retryable ? ERR_PEER : ERR_FAILED;
}

static enum err hear_failed(struct loop *loop, struct attempt *attempt, const Gw__Failed *failed)
{
    const struct gang *gang = &attempt->gang;
    struct stage_outcome outcome = {.error = err_of_worker(failed),
                                    .text = failed->text,
                                    .content = "",
                                    .results = "",
                                    .results_hash = "",
                                    .step = failed->step,
                                    .images_per_second = gang->progress.images_per_second};
    /* a stop that nobody here asked for: somebody signalled the gang, which is worth a retry */
    if (outcome.error == ERR_INTERRUPTED && !gang->is_stop_asked)
        outcome.error = ERR_PEER;
    return attempt_end(loop, attempt, &outcome);
}

static bool shows_assignment(const Gw__FromWorker *message)
{
    if (message->body_case == GW__FROM_WORKER__BODY_HEARTBEAT)
        return message->heartbeat->is_assigned;
    return message->body_case != GW__FROM_WORKER__BODY_HELLO;
}

/* ERR_PEER from the journal: the lease is void. The gang is told to go; we go on. */
static enum err hear(struct loop *loop, struct attempt *attempt, const struct wire_peer *peer,
                     const Gw__FromWorker *message)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    gang->peer = *peer; /* who connects again has another name, and says no second hello */
    gang->has_peer = true;
    gang->is_assigned = gang->is_assigned || shows_assignment(message);
    switch (message->body_case) {
    case GW__FROM_WORKER__BODY_HELLO:
        hear_hello(loop, attempt, message->hello);
        break;
    case GW__FROM_WORKER__BODY_PROGRESS:
        gang_set_progress(gang, message->progress, clock_seconds());
        VIEW(loop, progress, gang);
        break;
    case GW__FROM_WORKER__BODY_CHECKPOINT:
        err = gang->is_ended ? ERR_OK : hear_checkpoint(loop, gang, message->checkpoint);
        break;
    case GW__FROM_WORKER__BODY_WARNING:
        err = hear_warning(loop, gang, message->warning, message->sequence);
        break;
    case GW__FROM_WORKER__BODY_DONE:
        err = gang->is_ended ? ERR_OK : hear_done(loop, attempt, message->done);
        break;
    case GW__FROM_WORKER__BODY_FAILED:
        err = gang->is_ended ? ERR_OK : hear_failed(loop, attempt, message->failed);
        break;
    default: /* a heartbeat */
        break;
    }
    if (err == ERR_PEER) {
        log_warn("%s", err_text());
        tell_bye(loop, peer, message->lease_epoch, "another gang has this stage");
        return ERR_OK;
    }
    if (err == ERR_OK && message->sequence > 0)
        tell_accepted(loop, gang, message->sequence);
    if (err == ERR_OK && gang->is_ended)
        tell_bye(loop, peer, gang->lease.epoch, "the stage has ended");
    return err;
}

/* The stage a message reports on; NULL: on none. */
static const char *stage_of(const Gw__FromWorker *message)
{
    switch (message->body_case) {
    case GW__FROM_WORKER__BODY_PROGRESS:
        return message->progress->stage;
    case GW__FROM_WORKER__BODY_CHECKPOINT:
        return message->checkpoint->stage;
    case GW__FROM_WORKER__BODY_WARNING:
        return message->warning->stage;
    case GW__FROM_WORKER__BODY_DONE:
        return message->done->stage;
    case GW__FROM_WORKER__BODY_FAILED:
        return message->failed->stage;
    default:
        return NULL;
    }
}

/* A lease is of one stage: what is said of another under it is nobody's. */
static bool is_of_lease(const struct lease *lease, const Gw__FromWorker *message)
{
    const char *stage = stage_of(message);
    return !stage || strcmp(stage, lease->name) == 0;
}

static bool is_token(const struct loop *loop, const char *token)
{
    size_t size = strlen(loop->token);
    unsigned char differs = strlen(token) != size;
    for (size_t i = 0; i < size && !differs; i++)
        differs |= (unsigned char)(token[i] ^ loop->token[i]);
    return !differs;
}

/* Who holds this lease now; NULL: nobody. */
static struct attempt *find_attempt(struct loop *loop, uint64_t lease_epoch)
{
    for (EACH_RUNNING(loop, attempt))
        if (attempt->gang.lease.epoch == lease_epoch)
            return attempt;
    return NULL;
}

/* Of somebody who knows the token. */
static enum err hear_known(struct loop *loop, const struct wire_peer *peer,
                           const Gw__FromWorker *message)
{
    struct attempt *attempt = find_attempt(loop, message->lease_epoch);
    if (!attempt) {
        log_warn_rate(&loop->sent_away, "a gang with the old lease %llu is sent away",
                      (unsigned long long)message->lease_epoch);
        tell_bye(loop, peer, message->lease_epoch, "another gang has this stage");
    } else if (message->body_case == GW__FROM_WORKER__BODY_RANK_ALIVE) {
        gang_hear_rank(&attempt->gang, message->rank_alive, clock_seconds());
    } else if (!is_of_lease(&attempt->gang.lease, message)) {
        log_warn_rate(&loop->refused, "gang of %s: a report on stage \"%.60s\" is refused",
                      attempt->gang.lease.name, stage_of(message));
    } else {
        gang_heard(&attempt->gang, clock_seconds());
        return hear(loop, attempt, peer, message);
    }
    return ERR_OK;
}

enum err listen_once(struct loop *loop, int timeout_ms)
{
    struct wire_message received;
    enum err err = wire_receive(loop->wire, timeout_ms, &received);
    if (err == ERR_AGAIN)
        return err;
    if (err != ERR_OK) {
        log_warn_rate(&loop->refused, "a message was refused: %s", err_text());
        return ERR_OK;
    }
    Gw__FromWorker *message = gw__from_worker__unpack(NULL, received.size_bytes, received.payload);
    if (!message || !is_token(loop, message->token))
        log_warn_rate(&loop->refused, "a message of %zu bytes was refused: %s", received.size_bytes,
                      message ? "it is not from a gang of this run" : "it cannot be read");
    else
        err = hear_known(loop, &received.peer, message);
    if (message)
        gw__from_worker__free_unpacked(message, NULL);
    return err;
}

static void heed_farewell(struct loop *loop, const Gw__FromWorker *message)
{
    struct attempt *attempt = find_attempt(loop, message->lease_epoch);
    bool is_last = message->body_case == GW__FROM_WORKER__BODY_FAILED ||
                   message->body_case == GW__FROM_WORKER__BODY_DONE;
    if (attempt && is_last && is_of_lease(&attempt->gang.lease, message))
        attempt->gang.left_s = clock_seconds();
}

void listen_farewell(struct loop *loop, int timeout_ms)
{
    struct wire_message received;
    if (wire_receive(loop->wire, timeout_ms, &received) != ERR_OK)
        return;
    Gw__FromWorker *message = gw__from_worker__unpack(NULL, received.size_bytes, received.payload);
    if (message && is_token(loop, message->token))
        heed_farewell(loop, message);
    if (message)
        gw__from_worker__free_unpacked(message, NULL);
}
