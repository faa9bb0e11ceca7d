/* The socket's side of the exchange: says what is wanted, measured and waited for until it has
 * come, as many at once as a message holds. */
#include "base/clock.h"
#include "base/mem.h"
#include "worker/link_talk.h"
#include <string.h>

enum { MOST_SCORES = 256, MOST_RECORDS = 256 }; /* in one message */
#define ENVELOPE_BYTES 1024                     /* of a message, without what it is a list of */
#define ENTRY_BYTES    64                       /* of an entry, without the bytes below */

struct room { /* what still fits into a message */
    size_t left_bytes;
};

static bool take_room(struct room *room, size_t bytes)
{
    if (bytes + ENTRY_BYTES > room->left_bytes)
        return false;
    room->left_bytes -= bytes + ENTRY_BYTES;
    return true;
}

static void fill_score(const struct exchange_score *score, Gw__Score *message)
{
    gw__score__init(message);
    message->key.data = (uint8_t *)(uintptr_t)score->key.bytes; /* packed, never written */
    message->key.len = HASH_BYTES;
    message->subnet = (char *)(uintptr_t)score->subnet;
    message->split = (uint32_t)score->split;
    message->detail = (uint32_t)score->detail;
}

/* Of the wishes from *at on; moves it. */
static bool send_some(struct talk *talk, int *at)
{
    struct link *link = talk->link;
    const struct link_measuring *measuring = &link->measuring;
    struct room room = {PROTOCOL_MAX_BYTES - ENVELOPE_BYTES};
    Gw__Score scores[MOST_SCORES], *list[MOST_SCORES];
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Wanted wanted = GW__WANTED__INIT;
    for (; *at < measuring->wish_count && wanted.n_scores < MOST_SCORES; ++*at) {
        const struct link_wish *wish = &measuring->wishes[*at];
        if (wish->state != WISH_OPEN)
            continue;
        if (!take_room(&room, HASH_BYTES + strlen(wish->score.subnet)))
            break;
        list[wanted.n_scores] = &scores[wanted.n_scores];
        fill_score(&wish->score, &scores[wanted.n_scores++]);
    }
    if (wanted.n_scores == 0)
        return false;
    wanted.stage = link->taken.stage;
    wanted.scores = list;
    wanted.is_question = measuring->aim == EXCHANGE_ASK;
    message.body_case = GW__FROM_WORKER__BODY_WANTED;
    message.wanted = &wanted;
    return talk_speak(talk, link->taken.lease_epoch, &message);
}

static void send_wanted(struct talk *talk, double now)
{
    struct link_measuring *measuring = &talk->link->measuring;
    if (measuring->wish_count == 0 ||
        (measuring->asked_s > 0 && now - measuring->asked_s < LINK_REPEAT_S))
        return;
    measuring->asked_s = now;
    for (int at = 0; send_some(talk, &at);)
        continue;
}

static void fill_record(struct link_kept *kept, Gw__Record *message)
{
    gw__record__init(message);
    message->key.data = kept->key.bytes;
    message->key.len = HASH_BYTES;
    message->detail = (uint32_t)kept->detail;
    message->record.data = kept->bytes;
    message->record.len = kept->size_bytes;
}

/* Whether these go in one message: of one lease, and said together before, or not yet. */
static bool is_like(const struct link_kept *left, const struct link_kept *right)
{
    return left->lease_epoch == right->lease_epoch && left->sequence == right->sequence;
}

/* Those from *at on that belong together; moves it. */
static bool send_kept(struct talk *talk, int *at, double now)
{
    struct link *link = talk->link;
    struct link_measuring *measuring = &link->measuring;
    struct link_kept *first = &measuring->kept[*at];
    struct room room = {PROTOCOL_MAX_BYTES - ENVELOPE_BYTES};
    Gw__Record records[MOST_RECORDS], *list[MOST_RECORDS];
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Measured measured = GW__MEASURED__INIT;
    bool is_due = first->sent_s == 0 || now - first->sent_s >= LINK_REPEAT_S;
    message.sequence = first->sequence > 0 ? first->sequence : link->last_sequence + 1;
    for (; *at < measuring->kept_count && measured.n_records < MOST_RECORDS; ++*at) {
        struct link_kept *kept = &measuring->kept[*at];
        if (!is_like(kept, first) || !take_room(&room, HASH_BYTES + kept->size_bytes))
            break;
        list[measured.n_records] = &records[measured.n_records];
        fill_record(kept, &records[measured.n_records++]);
    }
    measured.stage = first->stage;
    measured.records = list;
    message.body_case = GW__FROM_WORKER__BODY_MEASURED;
    message.measured = &measured;
    if (!is_due)
        return true;
    if (!talk_speak(talk, first->lease_epoch, &message))
        return false;
    if (first->sequence == 0)
        link->last_sequence++;
    for (size_t i = measured.n_records; i-- > 0;) { /* the first last: it is compared with */
        first[i].sequence = message.sequence;
        first[i].sent_s = now;
    }
    return true;
}

static void send_measured(struct talk *talk, double now)
{
    for (int at = 0; at < talk->link->measuring.kept_count;)
        if (!send_kept(talk, &at, now))
            break;
}

static void send_ready(struct talk *talk, double now)
{
    struct link *link = talk->link;
    struct link_measuring *measuring = &link->measuring;
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__Ready ready = GW__READY__INIT;
    if (!measuring->is_ready ||
        (measuring->ready_s > 0 && now - measuring->ready_s < LINK_REPEAT_S))
        return;
    ready.stage = link->taken.stage;
    ready.share = measuring->share;
    message.body_case = GW__FROM_WORKER__BODY_READY;
    message.ready = &ready;
    if (talk_speak(talk, link->taken.lease_epoch, &message))
        measuring->ready_s = now;
}

void talk_measuring(struct talk *talk, double now)
{
    send_measured(talk, now);
    send_wanted(talk, now);
    send_ready(talk, now);
}

/* Keeps those that are of another message and whose lease is not void. */
static int drop_kept(struct link *link, uint64_t sequence)
{
    struct link_measuring *measuring = &link->measuring;
    int left = 0, before = measuring->kept_count;
    for (int i = 0; i < before; i++) {
        struct link_kept *kept = &measuring->kept[i];
        if ((sequence > 0 && kept->sequence == sequence) || link_is_void(link, kept->lease_epoch))
            mem_free(kept->bytes);
        else
            measuring->kept[left++] = *kept;
    }
    measuring->kept_count = left;
    return before - left;
}

bool link_forget_kept(struct link *link, uint64_t sequence)
{
    return drop_kept(link, sequence) > 0;
}

void link_drop_void(struct link *link)
{
    drop_kept(link, 0);
}

static bool read_key(ProtobufCBinaryData bytes, struct hash *key)
{
    if (bytes.len != HASH_BYTES)
        return false;
    memcpy(key->bytes, bytes.data, HASH_BYTES);
    return true;
}

/* Nobody knows it: that answers a question, not a wish. */
static void hear_record(struct link_measuring *measuring, const Gw__Record *record)
{
    struct hash key;
    if (!read_key(record->key, &key) ||
        (record->record.len == 0 && measuring->aim == EXCHANGE_WANT))
        return;
    for (int i = 0; i < measuring->wish_count; i++) {
        struct link_wish *wish = &measuring->wishes[i];
        if (wish->state != WISH_OPEN || !hash_equal(&wish->score.key, &key))
            continue;
        wish->state = WISH_KNOWN;
        text_add_bytes(&wish->record, record->record.data, record->record.len);
    }
}

void link_hear_known(struct link *link, const Gw__ToWorker *message)
{
    const Gw__Known *known = message->known;
    if (message->lease_epoch != link->taken.lease_epoch)
        return;
    for (size_t i = 0; i < known->n_records; i++)
        hear_record(&link->measuring, known->records[i]);
}

void link_hear_share(struct link *link, const Gw__ToWorker *message)
{
    struct link_measuring *measuring = &link->measuring;
    const Gw__Share *share = message->share;
    if (message->lease_epoch != link->taken.lease_epoch || !measuring->is_ready ||
        share->number <= measuring->share) /* said twice, or late */
        return;
    measuring->share = share->number;
    measuring->is_ready = false;
    measuring->has_share = true;
    measuring->shared = mem_array(share->n_scores + 1, sizeof *measuring->shared);
    for (size_t i = 0; i < share->n_scores; i++) {
        const Gw__Score *from = share->scores[i];
        struct exchange_score *score = &measuring->shared[measuring->shared_count];
        if (!read_key(from->key, &score->key))
            continue;
        score->subnet = mem_string(from->subnet);
        score->split = (enum split)from->split;
        score->detail = (int)from->detail;
        measuring->shared_count++;
    }
}
