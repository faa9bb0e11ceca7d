#include "trainer/evaluate.h"
#include "base/mem.h"
#include <math.h>

struct evaluate {
    struct evaluate_cfg cfg;
    struct comm *comm;
    struct supernet *net;
    struct calibrate *calibrate;
    struct gallery *holdout, *test; /* NULL: no such split */
    struct pass *pass, *own_pass;   /* own_pass NULL: the caller's is used */
    float *logits;                  /* host (micro,classes) */
};

static enum err open_split(struct evaluate *evaluate, const uint32_t *records, uint32_t count,
                           struct gallery **gallery)
{
    const struct calibrate_cfg *cfg = &evaluate->cfg.calibrate;
    if (count == 0)
        return ERR_OK;
    struct gallery_cfg gallery_cfg = {.comm = cfg->comm,
                                      .device = cfg->net->device,
                                      .loader = {.dataset = cfg->dataset,
                                                 .records = records,
                                                 .count = count,
                                                 .seed = cfg->seed,
                                                 .augment = NULL,
                                                 .threads = cfg->loader_threads,
                                                 .max_batch = cfg->micro},
                                      .count = count,
                                      .keep_bytes = cfg->keep_bytes,
                                      .own = cfg->own,
                                      .is_alive = cfg->is_alive};
    return gallery_create(&gallery_cfg, gallery);
}

enum err evaluate_create(const struct evaluate_cfg *cfg, struct evaluate **result)
{
    enum err err = ERR_OK;
    struct supernet *net = cfg->calibrate.net;
    const struct space *space = net->space;
    int micro = cfg->calibrate.micro;
    struct evaluate *evaluate = mem_alloc(sizeof *evaluate);
    *evaluate = (struct evaluate){.cfg = *cfg, .comm = cfg->calibrate.comm, .net = net};
    evaluate->logits = mem_array((size_t)micro * (size_t)space->classes, sizeof *evaluate->logits);
    TRY(calibrate_create(&cfg->calibrate, &evaluate->calibrate));
    TRY(open_split(evaluate, cfg->holdout, cfg->holdout_count, &evaluate->holdout));
    TRY(open_split(evaluate, cfg->test, cfg->test_count, &evaluate->test));
    if (!cfg->pass)
        TRY(pass_create(net, micro, space->resolutions[space->resolution_count - 1],
                        PASS_BATCH_NORM, &evaluate->own_pass));
    evaluate->pass = cfg->pass ? cfg->pass : evaluate->own_pass;
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
    calibrate_destroy(&evaluate->calibrate);
    gallery_destroy(&evaluate->holdout);
    gallery_destroy(&evaluate->test);
    pass_destroy(&evaluate->own_pass);
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
    TRY(calibrate_subnet(evaluate->calibrate, evaluate->pass, subnet));
out:
    return err;
}

struct visit {
    struct evaluate *evaluate;
    const struct subnet *subnet;
    struct scorer *scorer;
};

static enum err score_leaf(void *own, const struct fed *fed)
{
    enum err err = ERR_OK;
    struct visit *visit = own;
    struct evaluate *evaluate = visit->evaluate;
    struct supernet *net = evaluate->net;
    const float *logits = NULL;
    struct forward forward = {.subnet = visit->subnet,
                              .weights = net->weights,
                              .images = fed->images,
                              .N = fed->host.N,
                              .mode = PASS_FIXED};
    TRY(supernet_forward(net, evaluate->pass, &forward, &logits));
    net->device->ops->download(net->device, evaluate->logits, logits,
                               (size_t)fed->host.N * (size_t)net->space->classes *
                                   sizeof *evaluate->logits);
    net->device->ops->sync(net->device);
    scorer_add(visit->scorer, &fed->host, evaluate->logits);
out:
    return err;
}

enum err evaluate_subnet(struct evaluate *evaluate, const struct subnet *subnet, enum split split,
                         enum score_detail detail, struct score *score)
{
    enum err err = ERR_OK;
    struct scorer *scorer = NULL;
    struct score made = {0};
    struct gallery *gallery = split == SPLIT_TEST ? evaluate->test : evaluate->holdout;
    if (!gallery)
        TRY(err_set(ERR_DATA, "the data set has no %s images to evaluate on",
                    split == SPLIT_TEST ? "test" : "hold-out"));
    err = scorer_create(evaluate->comm, gallery_leaves(gallery), evaluate->net->space->classes,
                        detail, &scorer);
    TRY(comm_agree(evaluate->comm, err));
    struct visit visit = {.evaluate = evaluate, .subnet = subnet, .scorer = scorer};
    err = gallery_walk(gallery, subnet->resolution, score_leaf, &visit);
    TRY(comm_agree(evaluate->comm, err));
    TRY(scorer_total(scorer, &made));
    if (!isfinite(made.loss))
        TRY(err_set(ERR_NUMERIC, "the loss of an evaluated sub-network is not finite"));
    *score = made;
    made = (struct score){0};
out:
    score_fini(&made);
    scorer_destroy(&scorer);
    return err;
}

static enum err measure(struct evaluator *evaluator, struct candidate *candidates, int count)
{
    enum err err = ERR_OK;
    for (int i = 0; i < count; i++) {
        struct score score;
        TRY(evaluate_calibrate(evaluator->own, &candidates[i].subnet));
        TRY(evaluate_subnet(evaluator->own, &candidates[i].subnet, SPLIT_HOLDOUT, SCORE_PLAIN,
                            &score));
        candidates[i].accuracy = score.accuracy;
        candidates[i].loss = score.loss;
        score_fini(&score);
        if (evaluator->measured)
            evaluator->measured(evaluator->listener, i + 1);
    }
out:
    return err;
}

void evaluate_as_evaluator(struct evaluate *evaluate, struct evaluator *evaluator)
{
    *evaluator = (struct evaluator){.own = evaluate, .measure = measure};
}
