#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "scheduler/protocol.h"
#include "tests/scheduler/puppet.h"
#include <sys/stat.h>

#define PATIENCE_S 30.0

static struct puppet *shown; /* view and on_start carry the set */

static void tick(void *own)
{
    (void)own;
    if (clock_seconds() > shown->give_up_s)
        fail_msg("nothing more happens behind scene %d", shown->scene);
    shown->act(shown);
}

static void note_lease(struct stage_set *set, const struct gang *gang)
{
    (void)set;
    shown->lease_epoch = gang->lease.epoch;
}

static void make_sleeper(struct stage_set *set)
{
    static const char text[] = "#!/bin/sh\nexec sleep 600\n";
    static char path[160];
    snprintf(path, sizeof path, "%s/sleeper", set->folder);
    assert_int_equal(file_write(path, text, sizeof text - 1), ERR_OK);
    assert_int_equal(chmod(path, 0755), 0);
    set->cfg.launch.worker = path;
}

void puppet_make(struct puppet *puppet, struct stage_set *set, void (*act)(struct puppet *))
{
    *puppet = (struct puppet){.set = set, .act = act, .give_up_s = clock_seconds() + PATIENCE_S};
    shown = puppet;
    set->cfg.token = "the run's own token";
    set->cfg.limits.leave_s = 0.1; /* the sleeper hears no goodbye */
    set->view.tick = tick;
    set->on_start = note_lease;
    make_sleeper(set);
}

void puppet_free(struct puppet *puppet)
{
    wire_close(&puppet->wire);
}

void puppet_connect(struct puppet *puppet)
{
    char endpoint[SET_ENDPOINT];
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .wake_fd = -1};
    wire_close(&puppet->wire);
    set_endpoint(puppet->set->cfg.journal, endpoint);
    if (wire_open(&cfg, &puppet->wire) != ERR_OK)
        fail_msg("%s", err_text());
}

void puppet_say(struct puppet *puppet, Gw__FromWorker *message)
{
    uint8_t bytes[4096];
    message->token = (char *)puppet->set->cfg.token;
    if (message->lease_epoch == 0)
        message->lease_epoch = puppet->lease_epoch;
    assert_true(gw__from_worker__get_packed_size(message) <= sizeof bytes);
    size_t size = gw__from_worker__pack(message, bytes);
    if (wire_send(puppet->wire, NULL, bytes, size) != ERR_OK)
        fail_msg("%s", err_text());
}

static uint64_t say_numbered(struct puppet *puppet, Gw__FromWorker *message)
{
    message->sequence = ++puppet->sequence;
    puppet_say(puppet, message);
    return message->sequence;
}

void puppet_say_hello(struct puppet *puppet)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Hello hello = GW__HELLO__INIT;
    message.body_case = GW__FROM_WORKER__BODY_HELLO;
    message.hello = &hello;
    say_numbered(puppet, &message);
}

void puppet_say_alive(struct puppet *puppet, uint64_t lease_epoch)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Heartbeat heartbeat = GW__HEARTBEAT__INIT;
    heartbeat.is_assigned = true;
    message.body_case = GW__FROM_WORKER__BODY_HEARTBEAT;
    message.heartbeat = &heartbeat;
    message.lease_epoch = lease_epoch;
    puppet_say(puppet, &message);
}

void puppet_say_rank(struct puppet *puppet, unsigned rank)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__RankAlive alive = GW__RANK_ALIVE__INIT;
    alive.rank = rank;
    message.body_case = GW__FROM_WORKER__BODY_RANK_ALIVE;
    message.rank_alive = &alive;
    puppet_say(puppet, &message);
}

const char *puppet_content(void)
{
    static char hex[HASH_HEX_BYTES];
    struct hash content = {{0xcc}};
    hash_hex(&content, hex);
    return hex;
}

uint64_t puppet_say_checkpoint(struct puppet *puppet, const char *stage, uint64_t step)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__CheckpointSaved saved = GW__CHECKPOINT_SAVED__INIT;
    saved.stage = (char *)stage;
    saved.step = step;
    saved.content = (char *)puppet_content();
    message.body_case = GW__FROM_WORKER__BODY_CHECKPOINT;
    message.checkpoint = &saved;
    return say_numbered(puppet, &message);
}

uint64_t puppet_say_done(struct puppet *puppet, const char *stage)
{
    return puppet_say_result(puppet, stage, "");
}

uint64_t puppet_say_result(struct puppet *puppet, const char *stage, const char *results)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Done done = GW__DONE__INIT;
    done.stage = (char *)stage;
    done.content = (char *)puppet_content();
    done.results = (char *)results;
    message.body_case = GW__FROM_WORKER__BODY_DONE;
    message.done = &done;
    return say_numbered(puppet, &message);
}

uint64_t puppet_say_failed(struct puppet *puppet, const char *stage, enum err error)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Failed failed = GW__FAILED__INIT;
    failed.stage = (char *)stage;
    failed.error_name = (char *)err_name(error);
    message.body_case = GW__FROM_WORKER__BODY_FAILED;
    message.failed = &failed;
    return say_numbered(puppet, &message);
}

uint64_t puppet_say_warning(struct puppet *puppet, const char *stage)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Warning warning = GW__WARNING__INIT;
    warning.stage = (char *)stage;
    warning.text = "this is another machine";
    message.body_case = GW__FROM_WORKER__BODY_WARNING;
    message.warning = &warning;
    return say_numbered(puppet, &message);
}

bool puppet_hears(struct puppet *puppet, Gw__ToWorker__BodyCase body)
{
    struct wire_message received;
    bool has_come = false;
    while (puppet->wire && wire_receive(puppet->wire, 0, &received) == ERR_OK) {
        Gw__ToWorker *message = gw__to_worker__unpack(NULL, received.size_bytes, received.payload);
        assert_non_null(message);
        has_come = has_come || message->body_case == body;
        if (message->body_case == GW__TO_WORKER__BODY_ACCEPTED && message->accepted->sequence < 64)
            puppet->accepted |= (uint64_t)1 << message->accepted->sequence;
        if (message->body_case == GW__TO_WORKER__BODY_BYE)
            puppet->void_lease = message->lease_epoch;
        gw__to_worker__free_unpacked(message, NULL);
    }
    return has_come;
}

bool puppet_was_accepted(const struct puppet *puppet, uint64_t sequence)
{
    return puppet->accepted >> sequence & 1;
}
