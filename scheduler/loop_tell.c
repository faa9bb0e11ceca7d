/* Our words to the gangs. Any may be lost: what matters is said again with every pulse. */
#include "base/clock.h"
#include "base/log.h"
#include "scheduler/loop_internal.h"
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
    message->claim = loop->cfg->launch.claim;
    send_to(loop, &gang->peer, message);
}

void tell_accepted(struct loop *loop, const struct gang *gang, uint64_t sequence)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Accepted accepted = GW__ACCEPTED__INIT;
    accepted.sequence = sequence;
    message.body_case = GW__TO_WORKER__BODY_ACCEPTED;
    message.accepted = &accepted;
    tell(loop, gang, &message);
}

void tell_bye(struct loop *loop, const struct wire_peer *peer, uint64_t lease_epoch,
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

void tell_known(struct loop *loop, const struct gang *gang, const struct measurement_bytes *known)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Known answer = GW__KNOWN__INIT;
    Gw__Record record = GW__RECORD__INIT, *records[] = {&record};
    record.key = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)known->key->bytes};
    record.detail = (uint32_t)known->detail;
    record.record = (ProtobufCBinaryData){known->size_bytes, (uint8_t *)known->record};
    answer.n_records = 1;
    answer.records = records;
    message.body_case = GW__TO_WORKER__BODY_KNOWN;
    message.known = &answer;
    tell(loop, gang, &message);
}

void tell_share(struct loop *loop, const struct gang *gang, const struct score *scores, int count)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Share share = GW__SHARE__INIT;
    Gw__Score list[SHARE_MAX_SCORES], *pointers[SHARE_MAX_SCORES];
    for (int i = 0; i < count; i++) {
        list[i] = (Gw__Score)GW__SCORE__INIT;
        list[i].key = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)scores[i].key.bytes};
        list[i].subnet = (char *)scores[i].subnet;
        list[i].split = (uint32_t)scores[i].split;
        list[i].detail = (uint32_t)scores[i].detail;
        pointers[i] = &list[i];
    }
    share.number = gang->share;
    share.n_scores = (size_t)count;
    share.scores = pointers;
    message.body_case = GW__TO_WORKER__BODY_SHARE;
    message.share = &share;
    tell(loop, gang, &message);
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
    assign.is_helper = gang->is_helper;
    assign.published = (char *)gang->published;
    message.body_case = GW__TO_WORKER__BODY_ASSIGN;
    message.assign = &assign;
    tell(loop, gang, &message);
}

void tell_orders(struct loop *loop, struct attempt *attempt)
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

/* Orders are said again until they are heeded; that we live, now and then. */
static double pulse_every_s(const struct gang *gang)
{
    bool has_orders = gang->is_ended || gang->is_stop_asked || !gang->is_assigned;
    return has_orders ? PROTOCOL_PULSE_S : PROTOCOL_ALIVE_S;
}

void tell_pulse(struct loop *loop, struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    if (gang->has_peer && clock_seconds() - attempt->pulse_s >= pulse_every_s(gang))
        tell_orders(loop, attempt);
}

void tell_at_once(struct loop *loop, struct attempt *attempt)
{
    if (attempt->gang.has_peer)
        tell_orders(loop, attempt);
}
