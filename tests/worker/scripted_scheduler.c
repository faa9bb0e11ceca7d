#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/protocol.h"
#include "tests/worker/scripted_scheduler.h"
#include "trainer/data/dataset.h"

#define PATIENCE_S 20.0

static struct wire *open_server(const char *endpoint)
{
    struct wire *wire = NULL;
    struct wire_cfg cfg = {.role = WIRE_SERVER,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .linger_ms = 500,
                           .wake_fd = -1};
    if (wire_open(&cfg, &wire) != ERR_OK)
        fail_msg("%s", err_text());
    return wire;
}

static const char *stage_of(const Gw__FromWorker *message)
{
    switch (message->body_case) {
    case GW__FROM_WORKER__BODY_PROGRESS:
        return message->progress->stage;
    case GW__FROM_WORKER__BODY_CHECKPOINT:
        return message->checkpoint->stage;
    case GW__FROM_WORKER__BODY_DONE:
        return message->done->stage;
    case GW__FROM_WORKER__BODY_FAILED:
        return message->failed->stage;
    case GW__FROM_WORKER__BODY_WARNING:
        return message->warning->stage;
    case GW__FROM_WORKER__BODY_WANTED:
        return message->wanted->stage;
    case GW__FROM_WORKER__BODY_MEASURED:
        return message->measured->stage;
    case GW__FROM_WORKER__BODY_READY:
        return message->ready->stage;
    default:
        return "";
    }
}

static uint64_t step_of(const Gw__FromWorker *message)
{
    if (message->body_case == GW__FROM_WORKER__BODY_PROGRESS)
        return message->progress->step;
    return message->body_case == GW__FROM_WORKER__BODY_CHECKPOINT ? message->checkpoint->step : 0;
}

static void note_key(struct heard *heard, ProtobufCBinaryData key, size_t record_bytes)
{
    assert_int_equal(key.len, HASH_BYTES);
    assert_true(heard->count < SCRIPT_MOST_KEYS);
    memcpy(heard->keys[heard->count].bytes, key.data, HASH_BYTES);
    heard->record_bytes[heard->count++] = record_bytes;
}

static void note_measuring(struct heard *heard, const Gw__FromWorker *message)
{
    const Gw__Wanted *wanted = message->wanted;
    const Gw__Measured *measured = message->measured;
    if (message->body_case == GW__FROM_WORKER__BODY_WANTED) {
        heard->is_question = wanted->is_question;
        for (size_t i = 0; i < wanted->n_scores; i++)
            note_key(heard, wanted->scores[i]->key, 0);
    } else if (message->body_case == GW__FROM_WORKER__BODY_MEASURED) {
        for (size_t i = 0; i < measured->n_records; i++)
            note_key(heard, measured->records[i]->key, measured->records[i]->record.len);
    } else if (message->body_case == GW__FROM_WORKER__BODY_READY) {
        heard->share = message->ready->share;
    }
}

static void note_alive(struct heard *heard, const Gw__RankAlive *alive)
{
    heard->is_alive = alive != NULL;
    if (!alive)
        return;
    assert_int_equal(alive->rank, 0);
    assert_true(alive->host[0] != '\0');
    heard->pid = alive->pid;
    heard->work = alive->work;
}

/* False: nothing came. */
static bool hear(struct script *script, int timeout_ms)
{
    struct wire_message received;
    if (wire_receive(script->wire, timeout_ms, &received) != ERR_OK)
        return false;
    Gw__FromWorker *message = gw__from_worker__unpack(NULL, received.size_bytes, received.payload);
    assert_non_null(message);
    assert_string_equal(message->token, SCRIPT_TOKEN);
    script->peer = received.peer;
    script->heard = (struct heard){.body = message->body_case,
                                   .lease_epoch = message->lease_epoch,
                                   .sequence = message->sequence,
                                   .step = step_of(message)};
    snprintf(script->heard.stage, sizeof script->heard.stage, "%s", stage_of(message));
    note_alive(&script->heard, message->alive);
    note_measuring(&script->heard, message);
    gw__from_worker__free_unpacked(message, NULL);
    return true;
}

const struct heard *script_hear_any(struct script *script)
{
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;)
        if (hear(script, 100))
            return &script->heard;
    fail_msg("the gang is silent");
    return NULL;
}

const struct heard *script_hear(struct script *script, Gw__FromWorker__BodyCase body)
{
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;)
        if (hear(script, 100) && script->heard.body == body)
            return &script->heard;
    fail_msg("no message of kind %d came", (int)body);
    return NULL;
}

void script_await_lease(struct script *script, uint64_t lease_epoch)
{
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;)
        if (hear(script, 100) && script->heard.lease_epoch == lease_epoch)
            return;
    fail_msg("the gang does not speak for lease %d", (int)lease_epoch);
}

static void tell(struct script *script, uint64_t lease_epoch, Gw__ToWorker *message)
{
    uint8_t bytes[PROTOCOL_MAX_BYTES];
    message->lease_epoch = lease_epoch;
    assert_true(gw__to_worker__get_packed_size(message) <= sizeof bytes);
    size_t size = gw__to_worker__pack(message, bytes);
    if (wire_send(script->wire, &script->peer, bytes, size) != ERR_OK)
        fail_msg("%s", err_text());
}

void script_assign(struct script *script, uint64_t lease_epoch, const char *stage)
{
    script_assign_from(script, lease_epoch, stage, "");
}

void script_assign_from(struct script *script, uint64_t lease_epoch, const char *stage,
                        const char *run_folder)
{
    char campaign[512];
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Assign assign = GW__ASSIGN__INIT;
    snprintf(campaign, sizeof campaign, "%s/campaign.yaml", run_folder);
    assign.campaign = campaign;
    assign.run_folder = (char *)run_folder;
    assign.stage = (char *)stage;
    message.body_case = GW__TO_WORKER__BODY_ASSIGN;
    message.assign = &assign;
    tell(script, lease_epoch, &message);
}

void script_accept(struct script *script, uint64_t sequence)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Accepted accepted = GW__ACCEPTED__INIT;
    accepted.sequence = sequence;
    message.body_case = GW__TO_WORKER__BODY_ACCEPTED;
    message.accepted = &accepted;
    tell(script, 0, &message);
}

static ProtobufCBinaryData as_bytes(const void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes, .len = size};
}

void script_known(struct script *script, uint64_t lease_epoch, const struct hash *keys, int count,
                  const char *text)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Known known = GW__KNOWN__INIT;
    Gw__Record records[SCRIPT_MOST_KEYS], *list[SCRIPT_MOST_KEYS];
    for (int i = 0; i < count; i++) {
        gw__record__init(&records[i]);
        records[i].key = as_bytes(keys[i].bytes, HASH_BYTES);
        records[i].record = as_bytes(text, strlen(text));
        list[i] = &records[i];
    }
    known.records = list;
    known.n_records = (size_t)count;
    message.body_case = GW__TO_WORKER__BODY_KNOWN;
    message.known = &known;
    tell(script, lease_epoch, &message);
}

void script_share(struct script *script, uint64_t lease_epoch, uint64_t number,
                  const struct hash *key, const char *subnet)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Share share = GW__SHARE__INIT;
    Gw__Score score = GW__SCORE__INIT, *list[] = {&score};
    score.key = as_bytes(key->bytes, HASH_BYTES);
    score.subnet = (char *)(uintptr_t)subnet;
    score.split = SPLIT_TEST;
    share.number = number;
    share.scores = list;
    share.n_scores = 1;
    message.body_case = GW__TO_WORKER__BODY_SHARE;
    message.share = &share;
    tell(script, lease_epoch, &message);
}

void script_stop(struct script *script)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Stop stop = GW__STOP__INIT;
    message.body_case = GW__TO_WORKER__BODY_STOP;
    message.stop = &stop;
    tell(script, 0, &message);
}

void script_bye(struct script *script, uint64_t lease_epoch)
{
    Gw__ToWorker message = GW__TO_WORKER__INIT;
    Gw__Bye bye = GW__BYE__INIT;
    message.body_case = GW__TO_WORKER__BODY_BYE;
    message.bye = &bye;
    tell(script, lease_epoch, &message);
}

void script_listen(struct script *script)
{
    snprintf(script->folder, sizeof script->folder, "/tmp/gw-link-XXXXXX");
    assert_non_null(mkdtemp(script->folder));
    snprintf(script->endpoint, sizeof script->endpoint, "ipc://%s/s", script->folder);
    script->wire = open_server(script->endpoint);
}

void script_end(struct script *script)
{
    wire_close(&script->wire);
    assert_int_equal(file_remove_folder(script->folder), ERR_OK);
}

int script_open(void **state)
{
    struct script *script = mem_alloc(sizeof *script);
    script_listen(script);
    struct link_cfg cfg = {.endpoint = script->endpoint,
                           .token = SCRIPT_TOKEN,
                           .lease_epoch = 1,
                           .work = &script->work,
                           .ranks = 1};
    if (link_open(&cfg, &script->link) != ERR_OK)
        return -1;
    *state = script;
    script_accept(script, script_hear(script, GW__FROM_WORKER__BODY_HELLO)->sequence);
    return 0;
}

int script_close(void **state)
{
    struct script *script = *state;
    link_close(&script->link);
    script_end(script);
    mem_free(script);
    return 0;
}
