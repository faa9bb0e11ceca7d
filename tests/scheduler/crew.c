#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "scheduler/protocol.pb-c.h"
#include "scheduler/socket_folder.h"
#include "tests/scheduler/crew.h"
#include <signal.h>
#include <sys/stat.h>

#define PATIENCE_S 120.0
#define REPEAT_S   1.0
#define CHUNK      64 /* scores of one Wanted */

static struct crew *shown; /* the view carries the set */

static void name_key(int number, struct hash *key)
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_u64(&hasher, (uint64_t)number);
    *key = hasher_end(&hasher);
}

/* "net7"; its record is "score of net7". */
static int number_of(const char *subnet)
{
    int number = -1;
    return sscanf(subnet, "net%d", &number) == 1 ? number : -1;
}

/* ---- words */

static void say(struct crew_gang *gang, Gw__FromWorker *message)
{
    static uint8_t bytes[PROTOCOL_MAX_BYTES];
    message->token = (char *)shown->set->cfg.token;
    message->lease_epoch = gang->lease_epoch;
    size_t size = gw__from_worker__pack(message, bytes);
    if (wire_send(gang->wire, NULL, bytes, size) != ERR_OK)
        fail_msg("%s", err_text());
}

static void say_hello(struct crew_gang *gang)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Hello hello = GW__HELLO__INIT;
    message.body_case = GW__FROM_WORKER__BODY_HELLO;
    message.hello = &hello;
    message.sequence = ++gang->sequence;
    say(gang, &message);
}

static void say_done(struct crew_gang *gang, bool is_training)
{
    char hex[HASH_HEX_BYTES] = "";
    struct hash content = {{0xcc}};
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Done done = GW__DONE__INIT;
    if (is_training)
        hash_hex(&content, hex);
    done.stage = gang->stage;
    done.content = hex;
    message.body_case = GW__FROM_WORKER__BODY_DONE;
    message.done = &done;
    message.sequence = ++gang->sequence;
    say(gang, &message);
}

static void say_ready(struct crew_gang *gang)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Ready ready = GW__READY__INIT;
    ready.stage = gang->stage;
    ready.share = gang->share;
    message.body_case = GW__FROM_WORKER__BODY_READY;
    message.ready = &ready;
    say(gang, &message);
    gang->ready_s = clock_seconds();
}

static void say_nonsense(struct crew_gang *gang)
{
    static char subnet[100000];
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Wanted wanted = GW__WANTED__INIT;
    Gw__Score empty = GW__SCORE__INIT, endless = GW__SCORE__INIT, *list[] = {&empty, &endless};
    struct hash key;
    name_key(0, &key);
    memset(subnet, 'x', sizeof subnet - 1);
    endless.key = (ProtobufCBinaryData){HASH_BYTES, key.bytes};
    endless.subnet = subnet;
    wanted.stage = gang->stage;
    wanted.n_scores = 2;
    wanted.scores = list;
    message.body_case = GW__FROM_WORKER__BODY_WANTED;
    message.wanted = &wanted;
    say(gang, &message);
}

static void say_wanted(struct crew_gang *gang, int first, int count, bool is_question)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Wanted wanted = GW__WANTED__INIT;
    Gw__Score scores[CHUNK], *list[CHUNK];
    struct hash keys[CHUNK];
    char subnets[CHUNK][16];
    wanted.stage = gang->stage;
    wanted.scores = list;
    wanted.is_question = is_question;
    for (int i = first; i < first + count; i++) {
        int at = (int)wanted.n_scores;
        if (shown->is_known[i])
            continue;
        name_key(i, &keys[at]);
        snprintf(subnets[at], sizeof subnets[at], "net%d", i);
        scores[at] = (Gw__Score)GW__SCORE__INIT;
        scores[at].key = (ProtobufCBinaryData){HASH_BYTES, keys[at].bytes};
        scores[at].subnet = subnets[at];
        list[wanted.n_scores++] = &scores[at];
    }
    message.body_case = GW__FROM_WORKER__BODY_WANTED;
    message.wanted = &wanted;
    if (wanted.n_scores > 0)
        say(gang, &message);
}

static void say_all_wanted(struct crew_gang *gang)
{
    bool is_question = shown->asks_first && !gang->has_asked;
    gang->has_asked = true;
    if (shown->talks_nonsense)
        say_nonsense(gang);
    for (int first = 0; first < shown->scores; first += CHUNK)
        say_wanted(gang, first, shown->scores - first < CHUNK ? shown->scores - first : CHUNK,
                   is_question);
    gang->asked_s = clock_seconds();
}

static void say_measured(struct crew_gang *gang, int number)
{
    char record[64];
    struct hash key;
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Measured measured = GW__MEASURED__INIT;
    Gw__Record one = GW__RECORD__INIT, nonsense = GW__RECORD__INIT, *list[] = {&one, &nonsense};
    int size = snprintf(record, sizeof record, "score of net%d", number);
    name_key(number, &key);
    one.key = (ProtobufCBinaryData){HASH_BYTES, key.bytes};
    one.record = (ProtobufCBinaryData){(size_t)size, (uint8_t *)record};
    nonsense.key = (ProtobufCBinaryData){3, key.bytes};
    measured.stage = gang->stage;
    measured.n_records = shown->talks_nonsense ? 2 : 1;
    measured.records = list;
    message.body_case = GW__FROM_WORKER__BODY_MEASURED;
    message.measured = &measured;
    message.sequence = ++gang->sequence;
    say(gang, &message);
}

/* ---- what the asking gang comes to know */

static void know(int number)
{
    if (number < 0 || number >= shown->scores)
        shown->strangers++;
    else if (!shown->is_known[number]) {
        shown->is_known[number] = true;
        shown->known++;
        shown->known_s = clock_seconds();
    }
}

static void take_known(const Gw__Record *record)
{
    char text[64];
    if (record->record.len == 0) {
        shown->unknown_answers++;
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)record->record.len, (char *)record->record.data);
    int number = strncmp(text, "score of ", 9) == 0 ? number_of(text + 9) : -1;
    struct hash key;
    name_key(number, &key);
    bool is_right =
        record->key.len == HASH_BYTES && memcmp(record->key.data, key.bytes, HASH_BYTES) == 0;
    know(is_right ? number : -1);
}

static void leave(struct crew_gang *gang)
{
    kill((pid_t)gang->pid, SIGKILL);
    wire_close(&gang->wire);
    gang->is_gone = true;
}

static void measure(struct crew_gang *gang, int number)
{
    assert_in_range(number, 0, shown->scores - 1);
    shown->measured[number]++;
    gang->measured++;
    shown->measured_by_helpers += gang->is_helper;
    shown->measured_away += strcmp(gang->published, CREW_PUBLISHED) == 0;
    if (!gang->is_helper)
        know(number);
    say_measured(gang, number);
}

static void measure_some(struct crew_gang *gang)
{
    int count = shown->scores_per_share > 0 ? shown->scores_per_share : SHARE_MAX_SCORES;
    if (shown->most_gangs < shown->begin_at)
        return;
    if (shown->began_s == 0)
        shown->began_s = clock_seconds();
    for (; gang->left_count > 0 && count > 0; count--)
        measure(gang, gang->left[--gang->left_count]);
    if (gang->left_count > 0 || gang->taken == gang->share)
        return;
    gang->share = gang->taken;
    say_ready(gang);
}

static void take_share(struct crew_gang *gang, const Gw__Share *share)
{
    if (share->number <= gang->taken) /* said twice */
        return;
    if (shown->share_losses > 0) {
        shown->share_losses--;
        return;
    }
    if (gang->is_helper && shown->kill_helpers > 0 && shown->known > shown->scores / 4) {
        shown->kill_helpers--;
        leave(gang);
        return;
    }
    gang->taken = share->number;
    gang->left_count = 0;
    for (size_t i = 0; i < share->n_scores; i++)
        gang->left[gang->left_count++] = number_of(share->scores[i]->subnet);
}

static void take(struct crew_gang *gang, const Gw__ToWorker *message)
{
    switch (message->body_case) {
    case GW__TO_WORKER__BODY_ASSIGN:
        gang->is_assigned = true;
        gang->is_helper = message->assign->is_helper;
        snprintf(gang->published, sizeof gang->published, "%s", message->assign->published);
        snprintf(gang->stage, sizeof gang->stage, "%s", message->assign->stage);
        break;
    case GW__TO_WORKER__BODY_KNOWN:
        for (size_t i = 0; i < message->known->n_records; i++)
            take_known(message->known->records[i]);
        break;
    case GW__TO_WORKER__BODY_SHARE:
        take_share(gang, message->share);
        break;
    case GW__TO_WORKER__BODY_STOP:
    case GW__TO_WORKER__BODY_BYE:
        leave(gang);
        break;
    default:
        break;
    }
}

static void listen(struct crew_gang *gang)
{
    struct wire_message received;
    while (gang->wire && wire_receive(gang->wire, 0, &received) == ERR_OK) {
        Gw__ToWorker *message = gw__to_worker__unpack(NULL, received.size_bytes, received.payload);
        assert_non_null(message);
        take(gang, message);
        gw__to_worker__free_unpacked(message, NULL);
    }
}

/* ---- turns */

static void meet_asking_kill(struct crew_gang *gang)
{
    bool knows_half = shown->kill_asking > 0 && shown->known >= shown->scores / 2;
    bool has_measured = shown->kill_measured > 0 && gang->measured > 0;
    if (knows_half || has_measured) {
        shown->kill_asking -= knows_half;
        shown->kill_measured -= has_measured;
        memset(shown->is_known, 0, sizeof shown->is_known); /* the next one knows nothing */
        shown->known = 0;
        leave(gang);
    }
}

static void act_as_asking(struct crew_gang *gang)
{
    double now = clock_seconds();
    bool is_first = gang->asked_s == 0;
    if (shown->known == shown->scores && !is_first) {
        if (now - gang->asked_s > REPEAT_S / 10) { /* not with every turn */
            gang->asked_s = now;
            say_done(gang, false);
        }
        return;
    }
    if (is_first || now - gang->asked_s > REPEAT_S)
        say_all_wanted(gang);
    if (now - gang->ready_s > REPEAT_S)
        say_ready(gang);
    meet_asking_kill(gang);
}

static void act(struct crew_gang *gang)
{
    listen(gang);
    if (!gang->is_assigned || gang->is_gone)
        return;
    measure_some(gang);
    if (gang->is_helper && clock_seconds() - gang->ready_s > REPEAT_S)
        say_ready(gang);
    else if (!gang->is_helper && strcmp(gang->stage, "evaluate") != 0 && gang->asked_s == 0) {
        gang->asked_s = 1;
        say_done(gang, true);
    } else if (!gang->is_helper && strcmp(gang->stage, "evaluate") == 0)
        act_as_asking(gang);
}

static struct crew_gang *find_gang(uint64_t lease_epoch)
{
    for (int i = 0; i < shown->joined; i++)
        if (shown->gangs[i].lease_epoch == lease_epoch)
            return &shown->gangs[i];
    return NULL;
}

static void join(const struct attempt_record *record)
{
    struct crew_gang *gang = shown->gangs + shown->joined++;
    char endpoint[SET_ENDPOINT];
    assert_true(shown->joined <= CREW_MAX_GANGS);
    *gang = (struct crew_gang){.lease_epoch = record->lease_epoch, .pid = record->pid};
    struct wire_cfg cfg = {.role = WIRE_CLIENT,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .wake_fd = -1};
    snprintf(endpoint, sizeof endpoint, "ipc://%s/" SOCKET_NAME, record->socket_folder);
    if (wire_open(&cfg, &gang->wire) != ERR_OK)
        fail_msg("%s", err_text());
    say_hello(gang);
}

/* A gang that has a process and that we do not play yet. */
static enum err meet(const struct attempt_record *record, void *own)
{
    int *living = own;
    if (record->pid > 0 && strncmp(record->name, "compile", 7) != 0 &&
        strcmp(record->name, "report") != 0) {
        ++*living;
        if (!find_gang(record->lease_epoch))
            join(record);
    }
    return ERR_OK;
}

static void tick(void *own)
{
    int living = 0;
    (void)own;
    if (clock_seconds() > shown->give_up_s)
        fail_msg("nothing more happens: %d of %d are known", shown->known, shown->scores);
    assert_int_equal(journal_unended(shown->set->cfg.journal, meet, &living), ERR_OK);
    if (living > shown->most_gangs)
        shown->most_gangs = living;
    if (shown->stop_at > 0 && shown->known >= shown->stop_at)
        shown->set->stop = 1;
    for (int i = 0; i < shown->joined; i++)
        if (!shown->gangs[i].is_gone)
            act(&shown->gangs[i]);
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

void crew_make(struct crew *crew, struct stage_set *set, int gangs, int scores)
{
    *crew = (struct crew){.set = set, .scores = scores, .give_up_s = clock_seconds() + PATIENCE_S};
    shown = crew;
    set->cfg.token = "the run's own token";
    set->cfg.capacity.gangs = gangs;
    set->cfg.backoff_ms = 10;
    set->view.tick = tick;
    make_sleeper(set);
}

void crew_go_on(struct crew *crew)
{
    memset(crew->is_known, 0, sizeof crew->is_known);
    crew->known = 0;
}

void crew_free(struct crew *crew)
{
    for (int i = 0; i < crew->joined; i++)
        wire_close(&crew->gangs[i].wire);
}

void crew_expect_journal(const struct crew *crew)
{
    struct journal *journal = NULL;
    char *path = file_join(crew->set->folder, "journal");
    assert_int_equal(journal_open(path, JOURNAL_READ, &journal), ERR_OK);
    for (int i = 0; i < crew->scores; i++) {
        struct hash key;
        struct text record;
        char expected[64];
        text_init(&record);
        name_key(i, &key);
        assert_int_equal(journal_measurement(journal, &key, 0, &record), ERR_OK);
        snprintf(expected, sizeof expected, "score of net%d", i);
        assert_string_equal(text_get(&record), expected);
        text_fini(&record);
    }
    journal_close(&journal);
    mem_free(path);
}
