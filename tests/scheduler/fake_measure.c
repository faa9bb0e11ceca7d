#include "tests/scheduler/fake_measure.h"
#include "base/mem.h"
#include "worker/link_exchange.h"
#include <stdio.h>
#include <string.h>

struct evaluation {
    const struct assignment *mine;
    struct exchange exchange;
    void (*trace)(const struct assignment *, const char *, long long);
    int scores, known;
    bool *is_known; /* (scores) */
};

void fake_score_key(int number, struct hash *key)
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_u64(&hasher, (uint64_t)number);
    *key = hasher_end(&hasher);
}

static void want_all(struct evaluation *evaluation)
{
    int count = evaluation->scores;
    struct exchange_score *scores = mem_array((size_t)count + 1, sizeof *scores);
    char(*names)[16] = mem_array((size_t)count + 1, sizeof *names);
    for (int i = 0; i < count; i++) {
        fake_score_key(i, &scores[i].key);
        snprintf(names[i], sizeof names[i], "net%d", i);
        scores[i].subnet = names[i];
    }
    evaluation->exchange.want(&evaluation->exchange, EXCHANGE_WANT, scores, count);
    mem_free(names);
    mem_free(scores);
}

/* A record of what was not asked for, or another one's, is never known. */
static void know(struct evaluation *evaluation, int number)
{
    if (number < 0 || number >= evaluation->scores || evaluation->is_known[number])
        return;
    evaluation->is_known[number] = true;
    evaluation->known++;
}

static void take_record(struct evaluation *evaluation, const struct exchange_record *record)
{
    char text[32];
    int number = -1;
    struct hash key;
    snprintf(text, sizeof text, "%.*s", (int)record->size_bytes, (const char *)record->bytes);
    if (sscanf(text, "score of net%d", &number) != 1)
        return;
    fake_score_key(number, &key);
    know(evaluation, hash_equal(&key, &record->key) ? number : -1);
}

static void measure(struct evaluation *evaluation, const struct exchange_score *score)
{
    char text[32];
    int number = -1, size = snprintf(text, sizeof text, "score of %s", score->subnet);
    struct exchange_record record = {
        .key = score->key, .detail = score->detail, .bytes = text, .size_bytes = (size_t)size};
    if (sscanf(score->subnet, "net%d", &number) != 1)
        return;
    evaluation->trace(evaluation->mine, "%s measures %lld\n", number);
    evaluation->exchange.keep(&evaluation->exchange, &record);
    know(evaluation, number);
}

static void attend(struct evaluation *evaluation)
{
    struct exchange_event event;
    if (evaluation->exchange.next(&evaluation->exchange, &event) != ERR_OK)
        return;
    if (event.kind == EXCHANGE_RECORD) {
        take_record(evaluation, &event.record);
        return;
    }
    for (int i = 0; i < event.count; i++)
        measure(evaluation, &event.scores[i]);
    evaluation->exchange.ready(&evaluation->exchange);
}

enum err fake_measure(struct link *link, const struct assignment *mine, int scores,
                      void (*trace)(const struct assignment *, const char *, long long))
{
    struct evaluation evaluation = {
        .mine = mine, .exchange = link_exchange(link), .trace = trace, .scores = scores};
    evaluation.is_known = mem_array((size_t)scores + 1, sizeof *evaluation.is_known);
    if (!mine->is_helper)
        want_all(&evaluation);
    evaluation.exchange.ready(&evaluation.exchange);
    while ((mine->is_helper || evaluation.known < scores) && !link_stop_requested(link))
        attend(&evaluation);
    link_finish_measuring(link);
    mem_free(evaluation.is_known);
    return link_stop_requested(link) && !mine->is_helper ? ERR_INTERRUPTED : ERR_OK;
}
