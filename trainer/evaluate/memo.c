#include "trainer/evaluate/memo.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/measurement.h"
#include "trainer/spec/campaign.h"
#include <string.h>

struct memo {
    struct memo_cfg cfg;
    bool has_checkpoint;
    struct hash checkpoint;
    struct text space, calibration; /* lines of the key that never change */
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
    mem_free(memo);
    *pointer = NULL;
}

void memo_set_checkpoint(struct memo *memo, const struct hash *content)
{
    memo->has_checkpoint = content != NULL;
    if (content)
        memo->checkpoint = *content;
}

static bool is_open(const struct memo *memo)
{
    return memo->cfg.store && memo->has_checkpoint;
}

static void write_key(const struct memo *memo, const struct subnet *subnet, enum split split,
                      struct text *text)
{
    const struct calibrate_cfg *calibrate = memo->cfg.calibrate;
    const struct space *space = calibrate->net->space;
    struct subnet canonical = *subnet;
    struct text genes;
    text_init(&genes);
    subnet_canonical(space, &canonical);
    subnet_format(space, &canonical, &genes);
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

/* Rank 0. Appends the packed score; nothing where there is none that will do. */
static enum err look(const struct memo *memo, const struct subnet *subnet, enum split split,
                     enum eval_detail detail, struct text *packed)
{
    enum err err = ERR_OK;
    struct eval_metrics metrics = {0};
    struct text key;
    text_init(&key);
    write_key(memo, subnet, split, &key);
    err = measurement_find(memo->cfg.store, text_get(&key), packed);
    if (err == ERR_OK)
        err = eval_metrics_unpack(packed->bytes, packed->size, &metrics);
    if (err == ERR_DATA)
        log_warn("%s", err_text()); /* said once: what is measured now takes its place */
    if (err != ERR_OK || (detail == EVAL_DETAILED && metrics.classes == 0))
        packed->size = 0;
    if (err == ERR_NOT_FOUND || err == ERR_DATA)
        err = ERR_OK;
    eval_metrics_fini(&metrics);
    text_fini(&key);
    return err;
}

enum err memo_find(struct memo *memo, const struct subnet *subnet, enum split split,
                   enum eval_detail detail, struct eval_metrics *metrics, bool *is_found)
{
    enum err err = ERR_OK;
    struct comm *comm = memo->cfg.calibrate->comm;
    struct text found;
    void *bytes = NULL;
    text_init(&found);
    if (is_open(memo))
        err = look(memo, subnet, split, detail, &found);
    TRY(comm_agree(comm, err));
    uint64_t size = found.size;
    TRY(comm->broadcast(comm, &size, sizeof size));
    *is_found = size > 0;
    if (size == 0)
        goto out;
    bytes = mem_alloc(size);
    if (comm->rank == 0)
        memcpy(bytes, found.bytes, size);
    TRY(comm->broadcast(comm, bytes, size));
    TRY(eval_metrics_unpack(bytes, size, metrics)); /* succeeds: rank 0 has tried it */
    if (detail == EVAL_PLAIN)
        eval_metrics_make_plain(metrics);
out:
    mem_free(bytes);
    text_fini(&found);
    return err;
}

void memo_keep(struct memo *memo, const struct subnet *subnet, enum split split,
               const struct eval_metrics *metrics)
{
    struct text key, packed;
    if (!is_open(memo))
        return;
    text_init(&key);
    text_init(&packed);
    write_key(memo, subnet, split, &key);
    eval_metrics_pack(metrics, &packed);
    struct measurement measurement = {
        .key = text_get(&key), .score = packed.bytes, .score_bytes = packed.size};
    measurement_keep(memo->cfg.store, &measurement);
    text_fini(&packed);
    text_fini(&key);
}
