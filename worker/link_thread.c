/* The socket's side of the link: one thread that listens, sends the notes until they are
 * acknowledged, keeps the pulse, and ends the process when it has become an orphan. */
#include "base/clock.h"
#include "base/fence.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/link_talk.h"
#include "worker/pulse.h"
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define PROGRESS_S 0.2
#define CLOSING_S  1.0

bool talk_speak(struct talk *talk, uint64_t lease_epoch, Gw__FromWorker *message)
{
    struct link *link = talk->link;
    Gw__RankAlive alive;
    if (link_is_void(link, lease_epoch))
        return true;
    if (link->work) {
        pulse_describe(0, link->work, link->host, &alive);
        message->alive = &alive;
    }
    message->token = link->token;
    message->lease_epoch = lease_epoch;
    if (gw__from_worker__get_packed_size(message) > sizeof talk->bytes)
        BUG("a message to the scheduler larger than %zu bytes", sizeof talk->bytes);
    size_t size = gw__from_worker__pack(message, talk->bytes);
    if (wire_send(link->wire, NULL, talk->bytes, size) != ERR_OK)
        return false;
    if (lease_epoch == link->lease_epoch) /* what is said of an older one keeps no pulse */
        talk->spoke_s = clock_seconds();
    return true;
}

static bool send_hello(struct talk *talk, const struct note *note, Gw__FromWorker *message)
{
    Gw__Hello hello = GW__HELLO__INIT;
    hello.version = talk->link->version;
    hello.host = talk->link->host;
    hello.pid = getpid();
    hello.ranks = (uint32_t)talk->link->ranks;
    hello.lineage = talk->link->lineage;
    message->body_case = GW__FROM_WORKER__BODY_HELLO;
    message->hello = &hello;
    return talk_speak(talk, note->lease_epoch, message);
}

static bool send_failed(struct talk *talk, struct note *note, Gw__FromWorker *message)
{
    char name[32];
    Gw__Failed failed = GW__FAILED__INIT;
    snprintf(name, sizeof name, "%s", err_name(note->code));
    failed.stage = note->stage;
    failed.error = (uint32_t)err_exit_code(note->code);
    failed.error_name = name;
    failed.text = note->text;
    failed.retryable = note->code == ERR_PEER || note->code == ERR_AGAIN;
    failed.step = note->step;
    message->body_case = GW__FROM_WORKER__BODY_FAILED;
    message->failed = &failed;
    return talk_speak(talk, note->lease_epoch, message);
}

static bool send_note(struct talk *talk, struct note *note)
{
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__CheckpointSaved saved = GW__CHECKPOINT_SAVED__INIT;
    Gw__Done done = GW__DONE__INIT;
    Gw__Warning warning = GW__WARNING__INIT;
    message.sequence = note->sequence;
    switch (note->kind) {
    case NOTE_HELLO:
        return send_hello(talk, note, &message);
    case NOTE_CHECKPOINT:
        saved.stage = note->stage;
        saved.step = note->step;
        saved.content = note->content;
        message.body_case = GW__FROM_WORKER__BODY_CHECKPOINT;
        message.checkpoint = &saved;
        return talk_speak(talk, note->lease_epoch, &message);
    case NOTE_WARNING:
        warning.stage = note->stage;
        warning.text = note->text;
        message.body_case = GW__FROM_WORKER__BODY_WARNING;
        message.warning = &warning;
        return talk_speak(talk, note->lease_epoch, &message);
    case NOTE_DONE:
        done.stage = note->stage;
        done.content = note->content;
        done.results = note->text;
        message.body_case = GW__FROM_WORKER__BODY_DONE;
        message.done = &done;
        return talk_speak(talk, note->lease_epoch, &message);
    case NOTE_FAILED:
        return send_failed(talk, note, &message);
    }
    BUG("note of kind %d", note->kind);
}

static void send_progress(struct talk *talk)
{
    struct link *link = talk->link;
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Progress progress = GW__PROGRESS__INIT;
    progress.stage = link->taken.stage;
    progress.step = link->progress.step;
    progress.steps = link->progress.steps;
    progress.reused = link->progress.reused;
    progress.epoch = link->progress.epoch;
    progress.images_per_second = link->progress.images_per_second;
    progress.loss = link->progress.loss;
    progress.accuracy = link->progress.accuracy;
    progress.doing = link->doing;
    message.body_case = GW__FROM_WORKER__BODY_PROGRESS;
    message.progress = &progress;
    if (talk_speak(talk, link->taken.lease_epoch, &message))
        link->has_progress = false;
    talk->progress_s = clock_seconds();
}

static void send_heartbeat(struct talk *talk)
{
    struct link *link = talk->link;
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Heartbeat heartbeat = GW__HEARTBEAT__INIT;
    message.body_case = GW__FROM_WORKER__BODY_HEARTBEAT;
    heartbeat.is_assigned = link->assignment.stage[0] != '\0';
    message.heartbeat = &heartbeat;
    talk_speak(talk, link->lease_epoch, &message);
}

/* Notes in order: a later one waits for the earlier ones to be sent at least once. */
static void send_what_is_due(struct talk *talk)
{
    struct link *link = talk->link;
    double now = clock_seconds();
    pthread_mutex_lock(&link->lock);
    for (int i = 0; i < link->note_count; i++) {
        struct note *note = &link->notes[i];
        if (note->sent_s > 0 && now - note->sent_s < LINK_REPEAT_S)
            continue;
        if (note->kind == NOTE_DONE && link->has_progress) /* how far it came is known then */
            send_progress(talk);
        if (!send_note(talk, note))
            break;
        note->sent_s = now;
    }
    if (link->has_progress && now - talk->progress_s >= PROGRESS_S)
        send_progress(talk);
    talk_measuring(talk, now);
    if (now - talk->spoke_s >= PROTOCOL_PULSE_S)
        send_heartbeat(talk);
    pthread_mutex_unlock(&link->lock);
}

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

/* Under the lock. */
static void take_assign(struct link *link, const Gw__ToWorker *message)
{
    const Gw__Assign *assign = message->assign;
    struct assignment *mine = &link->assignment;
    if (link->has_assignment ||
        (mine->stage[0] && message->lease_epoch <= mine->lease_epoch)) /* said twice */
        return;
    copy_text(mine->campaign, sizeof mine->campaign, assign->campaign);
    copy_text(mine->run_folder, sizeof mine->run_folder, assign->run_folder);
    copy_text(mine->stage, sizeof mine->stage, assign->stage);
    copy_text(mine->stage_key, sizeof mine->stage_key, assign->stage_key);
    copy_text(mine->start, sizeof mine->start, assign->start);
    copy_text(mine->teacher, sizeof mine->teacher, assign->teacher);
    mine->stage_index = (int)assign->stage_index;
    mine->is_resume = assign->is_resume;
    mine->attempt = (int)assign->attempt;
    mine->is_helper = assign->is_helper;
    copy_text(mine->published, sizeof mine->published, assign->published);
    mine->lease_epoch = message->lease_epoch;
    link->lease_epoch = message->lease_epoch;
    link->has_assignment = true;
}

/* Under the lock. */
static void forget_note(struct link *link, uint64_t sequence)
{
    for (int i = 0; i < link->note_count; i++)
        if (link->notes[i].sequence == sequence) {
            memmove(&link->notes[i], &link->notes[i + 1],
                    (size_t)(link->note_count - 1 - i) * sizeof link->notes[0]);
            link->note_count--;
            return;
        }
}

/* Under the lock. The gang stops at its next step and ends; a newer lease of it stays. */
static void take_bye(struct link *link, uint64_t lease_epoch)
{
    if (lease_epoch >= link->void_below)
        link->void_below = lease_epoch + 1;
    if (link_is_void(link, link->lease_epoch))
        link->has_assignment = false;
    if (link_is_void(link, link->taken.lease_epoch))
        atomic_store(&link->is_void, true);
    link_drop_void(link);
}

static void hear(struct link *link, const Gw__ToWorker *message)
{
    pthread_mutex_lock(&link->lock);
    switch (message->body_case) {
    case GW__TO_WORKER__BODY_ASSIGN:
        take_assign(link, message);
        break;
    case GW__TO_WORKER__BODY_ACCEPTED:
        if (!link_forget_kept(link, message->accepted->sequence))
            forget_note(link, message->accepted->sequence);
        break;
    case GW__TO_WORKER__BODY_STOP:
        atomic_store(&link->stop_requested, true);
        break;
    case GW__TO_WORKER__BODY_BYE:
        take_bye(link, message->lease_epoch);
        break;
    case GW__TO_WORKER__BODY_KNOWN:
        link_hear_known(link, message);
        break;
    case GW__TO_WORKER__BODY_SHARE:
        link_hear_share(link, message);
        break;
    default: /* a pulse; or a newer scheduler's word we do not know, harmless by the format rule */
        break;
    }
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

static void listen_once(struct talk *talk, int timeout_ms)
{
    struct link *link = talk->link;
    struct wire_message received;
    enum err err = wire_receive(link->wire, timeout_ms, &received);
    uint64_t count;
    while (read(link->wake_fd, &count, sizeof count) > 0)
        continue;
    if (err != ERR_OK) {
        if (err != ERR_AGAIN)
            log_warn("link: a message was refused: %s", err_text());
        return;
    }
    Gw__ToWorker *message = gw__to_worker__unpack(NULL, received.size_bytes, received.payload);
    if (!message) {
        log_warn("link: a message of %zu bytes cannot be read", received.size_bytes);
        return;
    }
    talk->heard_s = clock_seconds();
    if (message->claim > 0)
        fence_renew(message->claim);
    hear(link, message);
    gw__to_worker__free_unpacked(message, NULL);
}

static void watch_silence(struct talk *talk)
{
    struct link *link = talk->link;
    double now = clock_seconds(), gap_s = clock_gap(&talk->looked_s, now);
    talk->heard_s += gap_s; /* the scheduler may have slept too */
    if (talk->lost_s > 0)
        talk->lost_s += gap_s;
    if (talk->lost_s == 0 && now - talk->heard_s > link->silence_s) {
        talk->lost_s = now;
        log_error("link: nothing heard from the scheduler for %.0f s; stopping", link->silence_s);
        atomic_store(&link->is_lost, true);
        atomic_store(&link->stop_requested, true);
        pthread_mutex_lock(&link->lock);
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
    }
    /* The watchdog of an orphan: the trainer hangs, and nobody is left to kill it. */
    if (talk->lost_s > 0 && now - talk->lost_s > link->grace_s) {
        log_error("link: still here %.0f s after the scheduler was lost; ending", link->grace_s);
        _exit(err_exit_code(ERR_PEER));
    }
}

static bool has_notes(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    bool has = false;
    for (int i = 0; i < link->note_count; i++)
        has = has || !link_is_void(link, link->notes[i].lease_epoch);
    for (int i = 0; i < link->measuring.kept_count; i++)
        has = has || !link_is_void(link, link->measuring.kept[i].lease_epoch);
    pthread_mutex_unlock(&link->lock);
    return has;
}

void *link_talk(void *argument)
{
    struct link *link = argument;
    struct talk *talk = mem_alloc(sizeof *talk);
    talk->link = link;
    talk->heard_s = clock_seconds();
    double closing_s = 0;
    for (;;) {
        send_what_is_due(talk);
        if (atomic_load(&link->is_closing)) {
            double now = clock_seconds();
            closing_s = closing_s > 0 ? closing_s : now;
            if (!has_notes(link) || atomic_load(&link->is_lost) || now - closing_s > CLOSING_S)
                break;
        }
        listen_once(talk, atomic_load(&link->is_closing) ? 20 : 200);
        watch_silence(talk);
    }
    mem_free(talk);
    return NULL;
}
