#include "base/mem.h"
#include "trainer/evaluate/internal.h"
#include <math.h>

static enum err open_split(struct evaluate *evaluate, const uint32_t *records, uint32_t count,
                           struct eval_batches **batches)
{
    const struct calibrate_cfg *cfg = &evaluate->cfg.calibrate;
    if (count == 0)
        return ERR_OK;
    struct eval_batches_cfg eval_batches_cfg = {
        .comm = cfg->comm,
        .device = cfg->net->device,
        .cache = cfg->cache,
        .loader = {.dataset = cfg->dataset,
                   .records = records,
                   .count = count,
                   .seed = cfg->seed,
                   .geometry = cfg->augment ? cfg->augment->geometry : GEOMETRY_CROP,
                   .threads = cfg->loader_threads,
                   .max_batch = evaluate->cfg.micro},
        .count = count,
        .work = cfg->work,
        .own = cfg->own,
        .is_alive = cfg->is_alive};
    return eval_batches_create(&eval_batches_cfg, batches);
}

static void make_cache(struct evaluate *evaluate)
{
    struct calibrate_cfg *calibrate = &evaluate->cfg.calibrate;
    struct batch_cache_cfg cfg = {.device = evaluate->net->device,
                                  .dataset = calibrate->dataset,
                                  .budget_bytes = evaluate->cfg.cache_bytes};
    evaluate->cache = calibrate->cache = batch_cache_create(&cfg);
}

enum err evaluate_create(const struct evaluate_cfg *cfg, struct evaluate **result)
{
    enum err err = ERR_OK;
    struct supernet *net = cfg->calibrate.net;
    const struct space *space = net->space;
    int micro = cfg->micro, calibration = cfg->calibrate.set.batch;
    struct evaluate *evaluate = mem_alloc(sizeof *evaluate);
    *evaluate = (struct evaluate){.cfg = *cfg, .comm = cfg->calibrate.comm, .net = net};
    evaluate->logits = mem_array((size_t)micro * (size_t)space->classes, sizeof *evaluate->logits);
    struct memo_cfg memo = {.calibrate = &evaluate->cfg.calibrate,
                            .holdout_count = cfg->holdout_count,
                            .micro = micro,
                            .precision = cfg->precision,
                            .lineage = cfg->lineage,
                            .exchange = cfg->exchange,
                            .own = cfg->own,
                            .wants_stop = cfg->wants_stop};
    evaluate->memo = memo_create(&memo);
    make_cache(evaluate);
    TRY(calibrate_create(&evaluate->cfg.calibrate, &evaluate->calibrate));
    TRY(open_split(evaluate, cfg->holdout, cfg->holdout_count, &evaluate->holdout));
    TRY(open_split(evaluate, cfg->test, cfg->test_count, &evaluate->test));
    if (!cfg->arena)
        TRY(activation_arena_create(net, calibration > micro ? calibration : micro,
                                    space->resolutions[space->resolution_count - 1],
                                    PASS_BATCH_NORM, &evaluate->own_arena));
    evaluate->arena = cfg->arena ? cfg->arena : evaluate->own_arena;
    *result = evaluate;
    evaluate = NULL;
out:
    evaluate_destroy(&evaluate);
    return err;
}

void evaluate_destroy(struct evaluate **pointer)
{
    struct evaluate *evaluate = *pointer;
    if (!evaluate)
        return;
    memo_destroy(&evaluate->memo);
    calibrate_destroy(&evaluate->calibrate);
    eval_batches_destroy(&evaluate->holdout);
    eval_batches_destroy(&evaluate->test);
    batch_cache_destroy(&evaluate->cache);
    activation_arena_destroy(&evaluate->own_arena);
    mem_free(evaluate->logits);
    mem_free(evaluate);
    *pointer = NULL;
}

enum err evaluate_calibrate(struct evaluate *evaluate, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    const struct evaluate_cfg *cfg = &evaluate->cfg;
    uint32_t flags = cfg->wants_stop && cfg->wants_stop(cfg->own);
    TRY(evaluate->comm->any(evaluate->comm, &flags));
    if (flags)
        TRY(err_set(ERR_INTERRUPTED, "stopped before the evaluation was complete"));
    TRY(calibrate_subnet(evaluate->calibrate, evaluate->arena, subnet));
out:
    return err;
}

struct visit {
    struct evaluate *evaluate;
    const struct subnet *subnet;
    struct scorer *scorer;
};

static enum err score_leaf(void *own, const struct prefetched *prefetched)
{
    enum err err = ERR_OK;
    struct visit *visit = own;
    struct evaluate *evaluate = visit->evaluate;
    struct supernet *net = evaluate->net;
    const float *logits = NULL;
    struct forward forward = {.subnet = visit->subnet,
                              .weights = net->weights,
                              .shadow = net->shadow,
                              .images = prefetched->images,
                              .N = prefetched->host.N,
                              .mode = PASS_FIXED};
    TRY(supernet_forward(net, evaluate->arena, &forward, &logits));
    TRY(net->device->ops->download(net->device, evaluate->logits, logits,
                                   (size_t)prefetched->host.N * (size_t)net->space->classes *
                                       sizeof *evaluate->logits));
    scorer_add(visit->scorer, &prefetched->host, evaluate->logits);
out:
    return err;
}

enum err evaluate_subnet(struct evaluate *evaluate, const struct subnet *subnet, enum split split,
                         enum eval_detail detail, struct eval_metrics *metrics)
{
    enum err err = ERR_OK;
    struct scorer *scorer = NULL;
    struct eval_metrics made = {0};
    struct eval_batches *batches = split == SPLIT_TEST ? evaluate->test : evaluate->holdout;
    if (!batches)
        TRY(err_set(ERR_DATA, "the data set has no %s images to evaluate on",
                    split == SPLIT_TEST ? "test" : "hold-out"));
    err = scorer_create(evaluate->comm, eval_batches_leaves(batches), evaluate->net->space->classes,
                        detail, &scorer);
    TRY(comm_agree(evaluate->comm, err));
    struct visit visit = {.evaluate = evaluate, .subnet = subnet, .scorer = scorer};
    err = eval_batches_walk(batches, subnet->resolution, score_leaf, &visit);
    TRY(comm_agree(evaluate->comm, err));
    TRY(scorer_total(scorer, &made));
    if (!isfinite(made.loss))
        TRY(err_set(ERR_NUMERIC, "the loss of an evaluated sub-network is not finite"));
    *metrics = made;
    made = (struct eval_metrics){0};
out:
    eval_metrics_fini(&made);
    scorer_destroy(&scorer);
    return err;
}

void evaluate_set_checkpoint(struct evaluate *evaluate, const struct hash *content)
{
    memo_set_checkpoint(evaluate->memo, content);
}

void evaluate_keep(struct evaluate *evaluate, const struct subnet *subnet, enum split split,
                   const struct eval_metrics *metrics)
{
    memo_keep(evaluate->memo, subnet, split, metrics);
}

struct evaluate_counts evaluate_counts(const struct evaluate *evaluate)
{
    return evaluate->counts;
}
