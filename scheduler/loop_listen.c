/* Taking the gangs' words off the socket; a lease's epoch says whose. Whoever does not know the
 * token is not heard; whoever holds a lease that is no longer current is told to go and changes
 * nothing. What is taken becomes events: loop_hear.c says what they mean. */
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "scheduler/loop_internal.h"
#include <string.h>

#define LISTEN_S     0.1 /* of a turn, however much there is to hear */
#define PROMPT_WORDS 16  /* of a turn, heard at once */

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

/* Who holds this lease now; NULL: nobody. Of a thousand gangs each speaks every second. */
static struct attempt *find_attempt(struct loop *loop, uint64_t lease_epoch)
{
    struct attempt **place = &loop->places[lease_epoch % LOOP_PLACES];
    if (*place && (*place)->gang.is_running && (*place)->gang.lease.epoch == lease_epoch)
        return *place;
    for (EACH_RUNNING(loop, attempt))
        if (attempt->gang.lease.epoch == lease_epoch)
            return *place = attempt;
    return NULL;
}

/* All but what is said every second anyway. */
static bool wants_answer(const Gw__FromWorker *message)
{
    return message->body_case != GW__FROM_WORKER__BODY_PROGRESS &&
           message->body_case != GW__FROM_WORKER__BODY_HEARTBEAT &&
           message->body_case != GW__FROM_WORKER__BODY_RANK_ALIVE;
}

/* Of somebody who knows the token; takes the message where it becomes an event. */
static bool take_known(struct loop *loop, const struct wire_peer *peer, Gw__FromWorker *message)
{
    struct attempt *attempt = find_attempt(loop, message->lease_epoch);
    if (!attempt) {
        log_warn_rate(&loop->sent_away, "a gang with the old lease %llu is sent away",
                      (unsigned long long)message->lease_epoch);
        tell_bye(loop, peer, message->lease_epoch, "another gang has this stage");
        return false;
    }
    if (!is_of_lease(&attempt->gang.lease, message)) {
        log_warn_rate(&loop->refused, "gang of %s: a report on stage \"%.60s\" is refused",
                      attempt->gang.lease.name, stage_of(message));
        return false;
    }
    loop->events[loop->event_count++] =
        (struct event){.attempt = attempt, .peer = *peer, .message = message};
    loop->is_answer_due |= wants_answer(message);
    return true;
}

/* ERR_AGAIN: there was none; a refused one is logged and OK. */
static enum err take_one(struct loop *loop, int timeout_ms)
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
    bool is_ours = message && secret_equal(loop->token, message->token);
    if (!is_ours)
        log_warn_rate(&loop->refused, "a message of %zu bytes was refused: %s", received.size_bytes,
                      message ? "it is not from a gang of this run" : "it cannot be read");
    if (message && !(is_ours && take_known(loop, &received.peer, message)))
        gw__from_worker__free_unpacked(message, NULL);
    return ERR_OK;
}

/* Somebody knocks who is no gang of ours. */
static void tell_strangers(struct loop *loop)
{
    unsigned long long strangers = wire_strangers(loop->wire);
    if (strangers == loop->strangers_seen)
        return;
    log_warn_rate(&loop->strangers,
                  "connections to port %d were refused, %llu so far: they are not from gangs of "
                  "this run, or do not have its keys",
                  loop->port, strangers);
    loop->strangers_seen = strangers;
}

/* Till the end of the turn, unless somebody waits for us. */
static int left_ms(const struct loop *loop, double end_s)
{
    double left_s = end_s - clock_seconds();
    return loop->is_answer_due || left_s <= 0 ? 0 : (int)(left_s * 1000);
}

/* Few are taken as they come; of many, which cost more to be woken for than to hear, what some
 * hundredths of a second bring together. */
static enum err take_next(struct loop *loop, double turn_s, int taken_before)
{
    if (taken_before < PROMPT_WORDS)
        return take_one(loop, left_ms(loop, turn_s));
    enum err taken = take_one(loop, 0);
    while (taken == ERR_AGAIN && left_ms(loop, turn_s) > 0) {
        loop_nap();
        taken = take_one(loop, 0);
    }
    return taken;
}

/* ZeroMQ hears its peers in turn, so the gangs are heard beside one that floods the socket. */
enum err listen_all(struct loop *loop, int timeout_ms)
{
    enum err err = ERR_OK;
    double turn_s = clock_seconds() + timeout_ms / 1000.0;
    loop->is_answer_due = false;
    enum err taken = take_one(loop, timeout_ms);
    double end_s = clock_seconds() + LISTEN_S;
    for (int words = 1; taken == ERR_OK && clock_seconds() < end_s; words++) {
        if (loop->event_count == LOOP_MAX_EVENTS)
            TRY(hear_all(loop));
        taken = take_next(loop, turn_s, words);
    }
    tell_strangers(loop);
    TRY(hear_all(loop));
out:
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
    if (message && secret_equal(loop->token, message->token))
        heed_farewell(loop, message);
    if (message)
        gw__from_worker__free_unpacked(message, NULL);
}
