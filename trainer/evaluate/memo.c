#include "trainer/evaluate/memo.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/spec/campaign.h"
#include <string.h>

#define KEY_BYTES     4096 /* of a key's text, at most */
#define NUMBER_BYTES  5    /* of a count of images, packed */
#define CLASS_NUMBERS 3    /* kept of each class */

/* What rank 0 knows decides: the ranks have it in common once in every meeting. */
enum { FLAG_STOP = 1, FLAG_FAILED = 2, FLAG_EVENT = 4 };

struct memo {
    struct memo_cfg cfg;
    bool has_checkpoint;
    struct hash checkpoint;
    struct text space, calibration; /* lines of the key that never change */
    struct hash *wanted;            /* rank 0: (wanted_count) keys of memo_want() */
    enum eval_detail *details;      /* (wanted_count) */
    int wanted_count;
    void *told; /* of the meeting: a score, or those of a share */
};

struct memo *memo_create(const struct memo_cfg *cfg)
{
    struct memo *memo = mem_alloc(sizeof *memo);
    memo->cfg = *cfg;
    text_init(&memo->space);
    text_init(&memo->calibration);
    space_lines(cfg->calibrate->net->space, &memo->space);
    calibrate_describe(cfg->calibrate, &memo->calibration);
    return memo;
}

void memo_destroy(struct memo **pointer)
{
    struct memo *memo = *pointer;
    if (!memo)
        return;
    text_fini(&memo->space);
    text_fini(&memo->calibration);
    mem_free(memo->wanted);
    mem_free(memo->details);
    mem_free(memo->told);
    mem_free(memo);
    *pointer = NULL;
}

void memo_set_checkpoint(struct memo *memo, const struct hash *content)
{
    memo->has_checkpoint = content != NULL;
    if (content)
        memo->checkpoint = *content;
}

static bool is_mine(const struct memo *memo)
{
    return memo->cfg.exchange && memo->has_checkpoint;
}

enum err memo_is_open(struct memo *memo, bool *is_open)
{
    struct comm *comm = memo->cfg.calibrate->comm;
    *is_open = is_mine(memo);
    return comm->broadcast(comm, is_open, sizeof *is_open);
}

bool memo_fits(const struct memo *memo, enum eval_detail detail)
{
    size_t classes = (size_t)memo->cfg.calibrate->net->space->classes, numbers = 0;
    if (detail == EVAL_DETAILED)
        numbers = CLASS_NUMBERS * classes + (classes <= EVAL_MAX_MATRIX ? classes * classes : 0);
    return KEY_BYTES + NUMBER_BYTES * numbers <= EXCHANGE_MAX_RECORD_BYTES;
}

static void write_subnet(const struct memo *memo, const struct subnet *subnet, struct text *text)
{
    const struct space *space = memo->cfg.calibrate->net->space;
    struct subnet canonical = *subnet;
    subnet_canonical(space, &canonical);
    subnet_format(space, &canonical, text);
}

static void write_key(const struct memo *memo, const struct subnet *subnet, enum split split,
                      struct text *text)
{
    const struct calibrate_cfg *calibrate = memo->cfg.calibrate;
    struct text genes;
    text_init(&genes);
    write_subnet(memo, subnet, &genes);
    struct measurement_key key = {.checkpoint = &memo->checkpoint,
                                  .subnet = text_get(&genes),
                                  .split = split == SPLIT_TEST ? "test" : "holdout",
                                  .space = text_get(&memo->space),
                                  .dataset = &dataset_info(calibrate->dataset)->content,
                                  .holdout = memo->cfg.holdout_count,
                                  .batch = memo->cfg.micro,
                                  .calibration = text_get(&memo->calibration),
                                  .precision = memo->cfg.precision,
                                  .lineage = memo->cfg.lineage,
                                  .training_version = TRAINING_VERSION};
    measurement_key_write(&key, text);
    text_fini(&genes);
}

static struct hash hash_key_of(const struct memo *memo, const struct subnet *subnet,
                               enum split split)
{
    struct text key;
    text_init(&key);
    write_key(memo, subnet, split, &key);
    struct hash hash = hash_of(text_get(&key), key.size);
    text_fini(&key);
    return hash;
}

void memo_want(struct memo *memo, enum exchange_aim aim, const struct memo_score *scores, int count)
{
    struct exchange *exchange = memo->cfg.exchange;
    if (!is_mine(memo))
        return;
    size_t room = (size_t)count + 1;
    struct text *names = mem_array(room, sizeof *names);
    struct exchange_score *list = mem_array(room, sizeof *list);
    mem_free(memo->wanted);
    mem_free(memo->details);
    memo->wanted = mem_array(room, sizeof *memo->wanted);
    memo->details = mem_array(room, sizeof *memo->details);
    memo->wanted_count = count;
    for (int i = 0; i < count; i++) {
        write_subnet(memo, &scores[i].subnet, &names[i]);
        memo->wanted[i] = hash_key_of(memo, &scores[i].subnet, scores[i].split);
        memo->details[i] = scores[i].detail;
        list[i] = (struct exchange_score){.key = memo->wanted[i],
                                          .subnet = text_get(&names[i]),
                                          .split = scores[i].split,
                                          .detail = scores[i].detail};
    }
    exchange->want(exchange, aim, list, count);
    for (int i = 0; i < count; i++)
        text_fini(&names[i]);
    mem_free(names);
    mem_free(list);
}

void memo_ready(struct memo *memo)
{
    if (is_mine(memo))
        memo->cfg.exchange->ready(memo->cfg.exchange);
}

static int find_wanted(const struct memo *memo, const struct hash *key)
{
    int at = 0;
    while (at < memo->wanted_count && !hash_equal(&memo->wanted[at], key))
        at++;
    return at;
}

static enum err take_score(const struct measurement *measurement, void *own)
{
    text_add_bytes(own, measurement->score, measurement->score_bytes);
    return ERR_OK;
}

/* Rank 0. ERR_DATA: what came is no score of that key. */
static enum err read_record(const struct exchange_record *record, enum eval_detail detail,
                            struct text *score, bool *will_do)
{
    enum err err = ERR_OK;
    struct eval_metrics metrics = {0};
    TRY(measurement_record_unpack(&record->key, record->bytes, record->size_bytes, take_score,
                                  score));
    TRY(eval_metrics_unpack(score->bytes, score->size, &metrics));
    *will_do = detail == EVAL_PLAIN || metrics.classes > 0;
out:
    eval_metrics_fini(&metrics);
    return err;
}

/* Rank 0. What was not asked for, or no longer, is nothing. */
static void take_record(struct memo *memo, const struct exchange_record *record,
                        struct memo_meeting *meeting)
{
    int at = find_wanted(memo, &record->key);
    struct text score;
    if (at == memo->wanted_count)
        return;
    meeting->kind = MEMO_SCORE;
    meeting->index = at;
    if (record->size_bytes == 0)
        return;
    text_init(&score);
    if (read_record(record, memo->details[at], &score, &meeting->is_known) != ERR_OK)
        log_warn("%s", err_text()); /* said once: what is measured now takes its place */
    meeting->is_useless = !meeting->is_known;
    if (meeting->is_known) {
        mem_free(memo->told);
        memo->told = score.bytes; /* ours now */
        meeting->score_bytes = score.size;
    } else {
        text_fini(&score);
    }
}

/* A share says by its keys what is to be measured; whoever measures anything else would be heard in
 * vain. */
static enum err check_share(const struct memo *memo, const struct exchange_score *score,
                            struct memo_score *checked)
{
    enum err err = ERR_OK;
    checked->split = score->split;
    checked->detail = score->detail == EVAL_PLAIN ? EVAL_PLAIN : EVAL_DETAILED;
    TRY(subnet_parse(memo->cfg.calibrate->net->space, score->subnet, &checked->subnet));
    struct hash key = hash_key_of(memo, &checked->subnet, checked->split);
    if (!hash_equal(&key, &score->key))
        TRY(err_set(ERR_CONFIG,
                    "what another gang wants measured of %s is no score that this one can give: "
                    "checkpoint, images, settings or device differ; this gang computes on %s",
                    score->subnet, memo->cfg.lineage));
out:
    return err;
}

static enum err take_share(struct memo *memo, const struct exchange_event *event,
                           struct memo_meeting *meeting)
{
    enum err err = ERR_OK;
    struct memo_score *scores = mem_array((size_t)event->count + 1, sizeof *scores);
    for (int i = 0; i < event->count; i++)
        TRY(check_share(memo, &event->scores[i], &scores[i]));
    mem_free(memo->told);
    memo->told = scores;
    scores = NULL;
    meeting->kind = MEMO_SHARE;
    meeting->count = event->count;
out:
    mem_free(scores);
    return err;
}

/* Rank 0. */
static enum err take_next(struct memo *memo, struct memo_meeting *meeting)
{
    struct exchange_event event;
    enum err err = memo->cfg.exchange->next(memo->cfg.exchange, &event);
    if (err == ERR_AGAIN)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    if (event.kind == EXCHANGE_SHARE)
        return take_share(memo, &event, meeting);
    take_record(memo, &event.record, meeting);
    return ERR_OK;
}

/* What has come, from rank 0 to all. */
static enum err tell(struct memo *memo, struct memo_meeting *meeting)
{
    enum err err = ERR_OK;
    struct comm *comm = memo->cfg.calibrate->comm;
    TRY(comm->broadcast(comm, meeting, sizeof *meeting));
    size_t size = meeting->score_bytes + (size_t)meeting->count * sizeof(struct memo_score);
    if (comm->rank != 0) {
        mem_free(memo->told);
        memo->told = mem_alloc(size + 1);
    }
    if (size > 0)
        TRY(comm->broadcast(comm, memo->told, size));
    meeting->scores = memo->told;
    meeting->score = memo->told;
out:
    return err;
}

enum err memo_meet(struct memo *memo, struct memo_meeting *meeting)
{
    enum err err = ERR_OK, mine = ERR_OK;
    struct comm *comm = memo->cfg.calibrate->comm;
    uint32_t flags = memo->cfg.wants_stop && memo->cfg.wants_stop(memo->cfg.own) ? FLAG_STOP : 0;
    *meeting = (struct memo_meeting){0};
    if (is_mine(memo) && !flags)
        mine = take_next(memo, meeting);
    flags |= (mine != ERR_OK ? FLAG_FAILED : 0u) | (meeting->kind ? FLAG_EVENT : 0u);
    TRY(comm->any(comm, &flags));
    if (flags & FLAG_FAILED)
        TRY(comm_agree(comm, mine));
    if (flags & FLAG_STOP)
        TRY(err_set(ERR_INTERRUPTED, "stopped before the evaluation was complete"));
    if (flags & FLAG_EVENT)
        TRY(tell(memo, meeting));
out:
    return err;
}

void memo_keep(struct memo *memo, const struct subnet *subnet, enum split split,
               const struct eval_metrics *metrics)
{
    struct exchange *exchange = memo->cfg.exchange;
    struct measurement_record record;
    struct text key, packed;
    if (!is_mine(memo))
        return;
    text_init(&key);
    text_init(&packed);
    write_key(memo, subnet, split, &key);
    eval_metrics_pack(metrics, &packed);
    struct measurement measurement = {
        .key = text_get(&key), .score = packed.bytes, .score_bytes = packed.size};
    measurement_record_pack(&measurement, &record);
    struct exchange_record kept = {.key = record.key,
                                   .detail = metrics->classes > 0 ? EVAL_DETAILED : EVAL_PLAIN,
                                   .bytes = record.packed.bytes,
                                   .size_bytes = record.packed.size};
    exchange->keep(exchange, &kept);
    measurement_record_fini(&record);
    text_fini(&packed);
    text_fini(&key);
}
