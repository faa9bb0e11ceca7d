/* Lists of scores: what is known is taken, the rest is measured here or shared out. All ranks walk
 * through the same list together; rank 0 talks to the exchange (memo.h). */
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/evaluate/internal.h"

#define MOVE_EVERY_S 1.0 /* a sign of life while the gang waits for others */

struct asking { /* one call of evaluate_measure() */
    struct evaluate *evaluate;
    const struct evaluate_batch *batch;
    bool *is_answered;         /* (batch->count) */
    int done;                  /* of the batch */
    struct memo_score *scores; /* (score_count) of the batch and not answered, no two alike, in the
                                  order they are measured in */
    int score_count;
    bool *is_heard, *is_useless; /* (score_count) while what is known is asked for */
    int heard;
    bool is_recalling; /* otherwise: waiting for what is being measured */
};

static bool is_same(const struct evaluate *evaluate, const struct memo_score *score,
                    const struct subnet *subnet, enum split split)
{
    return score->split == split && subnet_equal(evaluate->net->space, &score->subnet, subnet);
}

static bool is_open_for(const struct asking *asking, int item, const struct memo_score *score)
{
    const struct evaluate_item *wanted = &asking->batch->items[item];
    return !asking->is_answered[item] && wanted->detail <= score->detail &&
           is_same(asking->evaluate, score, &wanted->subnet, wanted->split);
}

static bool is_wanted(const struct asking *asking, const struct memo_score *score)
{
    for (int i = 0; i < asking->batch->count; i++)
        if (is_open_for(asking, i, score))
            return true;
    return false;
}

static void count(struct asking *asking, bool is_reused)
{
    struct evaluate_counts *counts = &asking->evaluate->counts;
    counts->reused += is_reused;
    counts->measured += !is_reused;
    asking->done++;
    if (asking->batch->answered)
        asking->batch->answered(asking->batch->own, asking->done);
}

/* Every item that wants this score gets it; only the first had to be measured. */
static enum err answer(struct asking *asking, const struct memo_score *score, const void *packed,
                       size_t size_bytes)
{
    enum err err = ERR_OK;
    bool is_reused = asking->is_recalling;
    for (int i = 0; i < asking->batch->count; i++) {
        struct evaluate_item *item = &asking->batch->items[i];
        if (!is_open_for(asking, i, score))
            continue;
        TRY(eval_metrics_unpack(packed, size_bytes, &item->metrics));
        if (item->detail == EVAL_PLAIN)
            eval_metrics_make_plain(&item->metrics);
        item->is_reused = is_reused;
        asking->is_answered[i] = true;
        count(asking, is_reused);
        is_reused = true;
    }
out:
    return err;
}

/* Calibrated already. */
static enum err measure_score(struct evaluate *evaluate, struct asking *asking,
                              const struct memo_score *score)
{
    enum err err = ERR_OK;
    struct eval_metrics metrics = {0};
    struct text packed;
    text_init(&packed);
    TRY(evaluate_subnet(evaluate, &score->subnet, score->split, score->detail, &metrics));
    memo_keep(evaluate->memo, &score->subnet, score->split, &metrics);
    eval_metrics_pack(&metrics, &packed);
    if (asking)
        TRY(answer(asking, score, packed.bytes, packed.size));
out:
    text_fini(&packed);
    eval_metrics_fini(&metrics);
    return err;
}

/* In order, but for what nobody wants any more. asking NULL: for another gang. */
static enum err measure_list(struct evaluate *evaluate, struct asking *asking,
                             const struct memo_score *scores, int count)
{
    enum err err = ERR_OK;
    const struct subnet *calibrated = NULL;
    for (int i = 0; i < count; i++) {
        const struct subnet *subnet = &scores[i].subnet;
        if (asking && !is_wanted(asking, &scores[i]))
            continue;
        if (!calibrated || !subnet_equal(evaluate->net->space, calibrated, subnet)) {
            TRY(FAULT("evaluate.measure"));
            TRY(evaluate_calibrate(evaluate, subnet));
        }
        calibrated = subnet;
        evaluate->resolution = subnet->resolution;
        TRY(measure_score(evaluate, asking, &scores[i]));
    }
out:
    return err;
}

static enum err take_score(struct asking *asking, const struct memo_meeting *meeting)
{
    enum err err = ERR_OK;
    const struct memo_score *score = &asking->scores[meeting->index];
    if (meeting->is_known)
        TRY(answer(asking, score, meeting->score, meeting->score_bytes));
    else if (meeting->is_useless && !asking->is_recalling)
        TRY(measure_list(asking->evaluate, asking, score, 1));
    if (asking->is_recalling) {
        asking->heard += !asking->is_heard[meeting->index];
        asking->is_heard[meeting->index] = true;
        asking->is_useless[meeting->index] = meeting->is_useless;
    }
out:
    return err;
}

static void show_life(struct evaluate *evaluate)
{
    const struct calibrate_cfg *cfg = &evaluate->cfg.calibrate;
    double now = clock_seconds();
    if (!cfg->is_alive || now - evaluate->moved_at < MOVE_EVERY_S)
        return;
    evaluate->moved_at = now;
    cfg->is_alive(cfg->own);
}

/* Waits a moment for what comes, and sees to it. */
static enum err attend(struct evaluate *evaluate, struct asking *asking)
{
    enum err err = ERR_OK;
    struct memo_meeting meeting;
    show_life(evaluate);
    TRY(memo_meet(evaluate->memo, &meeting));
    if (meeting.kind == MEMO_SCORE && asking)
        TRY(take_score(asking, &meeting));
    if (meeting.kind == MEMO_SHARE) {
        TRY(measure_list(evaluate, asking, meeting.scores, meeting.count));
        memo_ready(evaluate->memo);
    }
out:
    return err;
}

/* Whether one of these resolutions comes in front of the other: the current one first, then
 * upwards.
 */
static bool is_before(int resolution, int other, int current)
{
    if (resolution == current || other == current)
        return resolution == current && other != current;
    return resolution < other;
}

static void order_by_resolution(const struct evaluate_batch *batch, int current, int *order)
{
    for (int i = 0; i < batch->count; i++) {
        int at = i;
        for (; at > 0 && is_before(batch->items[i].subnet.resolution,
                                   batch->items[order[at - 1]].subnet.resolution, current);
             at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void add_score(struct asking *asking, const struct evaluate_item *item)
{
    for (int i = 0; i < asking->score_count; i++) {
        struct memo_score *score = &asking->scores[i];
        if (!is_same(asking->evaluate, score, &item->subnet, item->split))
            continue;
        score->detail = item->detail > score->detail ? item->detail : score->detail;
        return;
    }
    asking->scores[asking->score_count++] =
        (struct memo_score){item->subnet, item->split, item->detail};
}

static void open_asking(struct evaluate *evaluate, const struct evaluate_batch *batch,
                        struct asking *asking)
{
    size_t room = (size_t)batch->count + 1;
    int *order = mem_array(room, sizeof *order);
    *asking = (struct asking){.evaluate = evaluate, .batch = batch};
    asking->is_answered = mem_array(room, sizeof *asking->is_answered);
    asking->scores = mem_array(room, sizeof *asking->scores);
    asking->is_heard = mem_array(room, sizeof *asking->is_heard);
    asking->is_useless = mem_array(room, sizeof *asking->is_useless);
    order_by_resolution(batch, evaluate->resolution, order);
    for (int i = 0; i < batch->count; i++)
        add_score(asking, &batch->items[order[i]]);
    mem_free(order);
}

static void close_asking(struct asking *asking)
{
    mem_free(asking->is_answered);
    mem_free(asking->scores);
    mem_free(asking->is_heard);
    mem_free(asking->is_useless);
}

/* What was measured before. */
static enum err recall(struct asking *asking)
{
    enum err err = ERR_OK;
    asking->is_recalling = true;
    memo_want(asking->evaluate->memo, EXCHANGE_ASK, asking->scores, asking->score_count);
    while (asking->heard < asking->score_count)
        TRY(attend(asking->evaluate, asking));
    asking->is_recalling = false;
out:
    return err;
}

/* What no record is to be had of, or what may be too large for one. */
static enum err measure_own(struct asking *asking)
{
    enum err err = ERR_OK;
    for (int i = 0; i < asking->score_count; i++)
        if (asking->is_useless[i] || !memo_fits(asking->evaluate->memo, asking->scores[i].detail))
            TRY(measure_list(asking->evaluate, asking, &asking->scores[i], 1));
out:
    return err;
}

static void drop_answered(struct asking *asking)
{
    int kept = 0;
    for (int i = 0; i < asking->score_count; i++)
        if (is_wanted(asking, &asking->scores[i]))
            asking->scores[kept++] = asking->scores[i];
    asking->score_count = kept;
}

/* This gang takes its shares like every other. */
static enum err share_out(struct asking *asking)
{
    enum err err = ERR_OK;
    struct memo *memo = asking->evaluate->memo;
    TRY(measure_own(asking));
    drop_answered(asking);
    if (asking->score_count == 0)
        goto out;
    memo_want(memo, EXCHANGE_WANT, asking->scores, asking->score_count);
    memo_ready(memo);
    while (asking->done < asking->batch->count)
        TRY(attend(asking->evaluate, asking));
out:
    return err;
}

enum err evaluate_measure(struct evaluate *evaluate, const struct evaluate_batch *batch)
{
    enum err err = ERR_OK;
    struct asking asking;
    bool is_open = false;
    open_asking(evaluate, batch, &asking);
    TRY(memo_is_open(evaluate->memo, &is_open));
    if (is_open)
        TRY(recall(&asking));
    if (is_open && evaluate->cfg.is_shared)
        TRY(share_out(&asking));
    else
        TRY(measure_list(evaluate, &asking, asking.scores, asking.score_count));
out:
    for (int i = 0; i < batch->count && err != ERR_OK; i++)
        eval_metrics_fini(&batch->items[i].metrics);
    close_asking(&asking);
    return err;
}

enum err evaluate_help(struct evaluate *evaluate)
{
    enum err err = ERR_OK;
    memo_want(evaluate->memo, EXCHANGE_WANT, NULL, 0);
    memo_ready(evaluate->memo);
    for (;;)
        TRY(attend(evaluate, NULL));
out:
    return err;
}

static void take_measured(void *own, int done)
{
    const struct evaluator *evaluator = own;
    if (evaluator->measured)
        evaluator->measured(evaluator->listener, done);
}

static enum err measure(struct evaluator *evaluator, struct candidate *candidates, int count)
{
    enum err err = ERR_OK;
    struct evaluate_item *items = mem_array((size_t)count, sizeof *items);
    const struct evaluate_batch batch = {
        .items = items, .count = count, .answered = take_measured, .own = evaluator};
    for (int i = 0; i < count; i++)
        items[i] = (struct evaluate_item){.subnet = candidates[i].subnet, .split = SPLIT_HOLDOUT};
    TRY(evaluate_measure(evaluator->own, &batch));
    for (int i = 0; i < count; i++) { /* plain: they own nothing */
        candidates[i].accuracy = items[i].metrics.accuracy;
        candidates[i].loss = items[i].metrics.loss;
    }
out:
    mem_free(items);
    return err;
}

void evaluate_as_evaluator(struct evaluate *evaluate, struct evaluator *evaluator)
{
    *evaluator = (struct evaluator){.own = evaluate, .measure = measure};
}
