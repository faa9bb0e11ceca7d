/* Scores that stages ask for: told where the journal has them, else dealt out to every gang of the
 * stage that is ready to measure. */
#include "base/clock.h"
#include "base/log.h"
#include "scheduler/loop_internal.h"
#include <string.h>

#define MAX_SUBNET 2048 /* bytes of a sub-network's text */
#define MAX_DETAIL 16

static bool is_key(const ProtobufCBinaryData *key)
{
    return key->len == HASH_BYTES;
}

static bool is_sound(const Gw__Score *score)
{
    return is_key(&score->key) && score->detail <= MAX_DETAIL && score->split <= MAX_DETAIL &&
           strlen(score->subnet) < MAX_SUBNET;
}

static struct score read_score(const Gw__Score *message)
{
    struct score score = {
        .subnet = message->subnet, .split = (int)message->split, .detail = (int)message->detail};
    memcpy(score.key.bytes, message->key.data, HASH_BYTES);
    return score;
}

/* The gang that holds the lease of a stage; NULL: nobody works on it. */
static struct attempt *find_asking(struct loop *loop, int stage)
{
    struct attempt *attempt = &loop->attempts[stage];
    bool is_at_work = attempt->gang.is_running && !attempt->gang.is_ending;
    return is_at_work && attempt->gang.has_peer ? attempt : NULL;
}

/* A record that cannot be read is measured again, and replaced. */
static bool look_up(struct loop *loop, const struct score *score, struct text *record)
{
    enum err err = journal_measurement(loop->cfg->journal, &score->key, score->detail, record);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        log_warn_rate(&loop->refused, "a measurement is made again: %s", err_text());
    return err == ERR_OK;
}

static void hear_asked(struct loop *loop, const struct gang *gang, const struct score *score,
                       bool is_question)
{
    struct text record;
    if (!is_question && shares_wants(loop->shares, gang->stage, &score->key, score->detail))
        return;
    text_init(&record);
    bool is_known = look_up(loop, score, &record);
    struct measurement_bytes known = {&score->key, score->detail, text_get(&record), record.size};
    if (is_known || is_question)
        tell_known(loop, gang, &known);
    else
        shares_want(loop->shares, gang->stage, score);
    text_fini(&record);
}

void hear_wanted(struct loop *loop, const struct event *event)
{
    const struct gang *gang = &event->attempt->gang;
    const Gw__Wanted *wanted = event->message->wanted;
    if (gang->is_helper || gang->is_ending)
        return;
    for (size_t i = 0; i < wanted->n_scores; i++) {
        if (!is_sound(wanted->scores[i])) {
            log_warn_rate(&loop->refused, "gang of %s: it asks for what is no score",
                          gang->lease.name);
            continue;
        }
        struct score score = read_score(wanted->scores[i]);
        hear_asked(loop, gang, &score, wanted->is_question);
    }
}

void note_measured(struct loop *loop, struct event *event)
{
    const Gw__Measured *measured = event->message->measured;
    event->attempt->gang.moved_s = clock_seconds();
    for (size_t i = 0; i < measured->n_records; i++) {
        const Gw__Record *record = measured->records[i];
        if (!is_key(&record->key) || record->detail > MAX_DETAIL || record->record.len == 0) {
            log_warn_rate(&loop->refused, "gang of %s: it measured what is no score",
                          event->attempt->gang.lease.name);
            continue;
        }
        add_entry(loop, event, JOURNAL_MEASUREMENT)->measurement =
            (struct measurement_bytes){.key = (const struct hash *)record->key.data,
                                       .detail = (int)record->detail,
                                       .record = record->record.data,
                                       .size_bytes = record->record.len};
    }
}

struct telling {
    struct loop *loop;
    const struct attempt *by;
    const struct measurement_bytes *measured;
};

static void tell_asking(void *own, int stage)
{
    const struct telling *telling = own;
    struct attempt *asking = find_asking(telling->loop, stage);
    if (!asking)
        return;
    asking->gang.moved_s = clock_seconds();
    if (asking != telling->by)
        tell_known(telling->loop, &asking->gang, telling->measured);
}

void believe_measured(struct loop *loop, const struct attempt *by,
                      const struct measurement_bytes *measured)
{
    struct telling telling = {loop, by, measured};
    shares_known(loop->shares, measured->key, measured->detail, tell_asking, &telling);
    loop->attempts[by->gang.stage].gang.made_progress = true;
    if (by->gang.is_helper)
        policy_helper_works(&loop->policy, by->gang.stage);
}

/* It has not heard of its last share, or a part of it is left from a scheduler before us. */
static void share_again(struct loop *loop, const struct gang *gang)
{
    struct score left[SHARE_MAX_SCORES];
    int count = shares_of(loop->shares, gang->stage, gang->lease.epoch, gang->share,
                          SHARE_MAX_SCORES, left);
    tell_share(loop, gang, left, count);
}

void hear_ready(struct loop *loop, struct event *event)
{
    struct gang *gang = &event->attempt->gang;
    uint64_t measured = event->message->ready->share;
    gang->moved_s = clock_seconds();
    if (measured < gang->share) {
        share_again(loop, gang);
        return;
    }
    gang->share = measured;
    gang->is_ready = true;
}

/* So many that the gangs of a stage end at about the same time, and the last share is short. */
static int share_size(const struct loop *loop, int stage)
{
    int gangs = 1 + loop->attempts[stage].gang.helpers;
    int size = (shares_waiting(loop->shares, stage) + 2 * gangs - 1) / (2 * gangs);
    return size < SHARE_MAX_SCORES ? size : SHARE_MAX_SCORES;
}

static void share_with(struct loop *loop, struct gang *gang)
{
    struct score dealt[SHARE_MAX_SCORES];
    int room = share_size(loop, gang->stage);
    int count =
        shares_deal(loop->shares, gang->stage, gang->lease.epoch, gang->share + 1, room, dealt);
    if (count == 0)
        return;
    gang->share++;
    gang->is_ready = false;
    tell_share(loop, gang, dealt, count);
}

void share_out(struct loop *loop)
{
    for (EACH_RUNNING(loop, attempt)) {
        struct gang *gang = &attempt->gang;
        bool may_measure = gang->has_peer && !gang->is_ending && !gang->is_stop_asked;
        if (gang->is_ready && may_measure && !gang->is_killed)
            share_with(loop, gang);
    }
}
