#include "base/mem.h"
#include "kernels/memory.h"
#include "trainer/train/resume.h"
#include <stdio.h>
#include <string.h>

#define NAME_BYTES  160
#define SHARE_BYTES ((size_t)64 << 20) /* a broadcast at a time */

static enum err set_tensor(const struct supernet *net, const struct checkpoint *checkpoint,
                           const char *prefix, const struct param *param, float *to)
{
    char name[NAME_BYTES];
    const struct tensor *tensor = NULL;
    snprintf(name, sizeof name, "%s%s", prefix, param->name);
    enum err err = checkpoint_find_shaped(checkpoint, name, param->rank, param->shape, &tensor);
    if (err != ERR_OK)
        return err;
    supernet_set_param(net, to, param, tensor->values);
    return ERR_OK;
}

static enum err set_all(const struct supernet *net, const struct checkpoint *checkpoint,
                        const char *prefix, float *to)
{
    enum err err = ERR_OK;
    for (int i = 0; i < net->param_count; i++)
        TRY(set_tensor(net, checkpoint, prefix, &net->params[i], to));
out:
    return err;
}

/* Rank 0's device array of the weights' layout to all ranks. */
static enum err share(const struct resume_cfg *cfg, float *array)
{
    enum err err = ERR_OK;
    struct device *device = cfg->net->device;
    size_t bytes = cfg->net->weight_count * sizeof(float);
    char *host = mem_alloc(bytes);
    if (cfg->comm->rank == 0)
        err = device->ops->download(device, host, array, bytes);
    TRY(comm_agree(cfg->comm, err));
    for (size_t at = 0; at < bytes; at += SHARE_BYTES)
        TRY(cfg->comm->broadcast(cfg->comm, host + at,
                                 bytes - at < SHARE_BYTES ? bytes - at : SHARE_BYTES));
    device->ops->upload(device, array, host, bytes);
    if (array == cfg->net->weights)
        supernet_cast(cfg->net, 0, cfg->net->weight_count);
out:
    mem_free(host);
    return err;
}

static enum err check_key(const struct resume_cfg *cfg, const struct checkpoint *checkpoint,
                          int stage)
{
    char key[HASH_HEX_BYTES];
    hash_hex(&cfg->provenance->keys[stage], key);
    if (checkpoint->meta.stage_key && strcmp(checkpoint->meta.stage_key, key) == 0)
        return ERR_OK;
    return err_set(ERR_DATA,
                   "the checkpoint of stage %s was made by other settings than the campaign's: run "
                   "that stage again",
                   cfg->blueprint->plan.stages[stage].name);
}

/* The newest sound one of a stage with the campaign's settings; what was passed over goes to
 * `damage`. A stage is a pure function of its key, so what has its key counts, whether the
 * scheduler knows of it or not: the report of the newest save may have been lost with its gang. */
static enum err load_newest(const struct resume_cfg *cfg, int stage, bool is_final,
                            struct checkpoint *checkpoint, struct text *damage)
{
    char key[HASH_HEX_BYTES];
    const struct checkpoint_wanted wanted = {
        .stage = cfg->blueprint->plan.stages[stage].name, .stage_key = key, .is_final = is_final};
    hash_hex(&cfg->provenance->keys[stage], key);
    return checkpoint_load_newest(cfg->store, &wanted, checkpoint, damage);
}

static enum err load_imported(const struct resume_cfg *cfg, struct checkpoint *checkpoint)
{
    const char *from = cfg->blueprint->campaign->teacher.from;
    enum err err = checkpoint_load_reference(from, checkpoint);
    if (err != ERR_OK)
        err_prefix(err, "teacher.from %s", from);
    return err;
}

/* Why the final checkpoint of a stage is not to be had. */
static enum err explain_missing(const struct resume_cfg *cfg, int stage, const struct text *damage)
{
    enum err err = ERR_OK;
    char name[NAME_BYTES];
    struct checkpoint checkpoint = {0};
    const char *stage_name = cfg->blueprint->plan.stages[stage].name;
    snprintf(name, sizeof name, "%s/final", stage_name);
    if (damage->size > 0)
        TRY(err_set(ERR_DATA,
                    "the final checkpoint of stage %s is damaged (%s): run that stage again, it "
                    "goes on from its newest sound one",
                    stage_name, text_get(damage)));
    TRY(checkpoint_peek(cfg->store, name, &checkpoint));
    TRY(check_key(cfg, &checkpoint, stage));
    TRY(err_set(ERR_NOT_FOUND, "stage %s has no final checkpoint", stage_name));
out:
    checkpoint_fini(&checkpoint);
    return err;
}

static enum err load_stage_final(const struct resume_cfg *cfg, int stage,
                                 struct checkpoint *checkpoint)
{
    struct text damage;
    text_init(&damage);
    enum err err = load_newest(cfg, stage, true, checkpoint, &damage);
    if (err == ERR_NOT_FOUND)
        err = explain_missing(cfg, stage, &damage);
    text_fini(&damage);
    return err;
}

/* Weights of what comes before, or fresh ones; parent: its content hash or "". */
static enum err load_start(const struct resume_cfg *cfg, int stage, const struct stage_start *start,
                           char parent[HASH_HEX_BYTES])
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    int before =
        blueprint_stage_of_phase(cfg->blueprint, cfg->blueprint->plan.stages[stage].phase - 1);
    bool is_given = !start->is_resume && start->content && start->content[0] != '\0';
    parent[0] = '\0';
    if (before >= 0 && is_given) {
        err = checkpoint_load(cfg->store, start->content, &checkpoint);
        if (err == ERR_DATA)
            TRY(err_prefix(err, "the final checkpoint of stage %s is damaged",
                           cfg->blueprint->plan.stages[before].name));
        TRY(err);
        TRY(check_key(cfg, &checkpoint, before));
    } else if (before >= 0) {
        TRY(load_stage_final(cfg, before, &checkpoint));
    } else if (cfg->blueprint->campaign->teacher.from[0] != '\0') {
        TRY(load_imported(cfg, &checkpoint));
        mixed_inherit(cfg->mixed, &checkpoint);
    } else {
        supernet_init_weights(cfg->net, cfg->blueprint->campaign->seed);
        goto out;
    }
    if (before >= 0)
        TRY(mixed_go_on(cfg->mixed, &checkpoint));
    TRY(set_all(cfg->net, &checkpoint, "", cfg->net->weights));
    hash_hex(&checkpoint.content, parent);
out:
    checkpoint_fini(&checkpoint);
    return err;
}

/* Where a stage begins behind damage, or without what the scheduler thought it had. */
static void say_where(const struct resume_cfg *cfg, const struct text *damage, bool is_found,
                      const struct checkpoint *found)
{
    struct text text;
    text_init(&text);
    if (damage->size > 0)
        text_add(&text, "damage among its checkpoints (%s): ", text_get(damage));
    else
        text_add(&text, "the store has no checkpoint of it with these settings any more: ");
    if (is_found)
        text_add(&text, "it goes on from the newest sound one, step %llu%s",
                 (unsigned long long)found->position.step,
                 found->position.is_final ? ", its last" : "");
    else
        text_add(&text, "it starts over");
    reporter_warn(cfg->mixed->reporter, text_get(&text));
    text_fini(&text);
}

static enum err set_resumed(const struct resume_cfg *cfg, const struct checkpoint *checkpoint,
                            float *momentum, struct resume *resume)
{
    enum err err = ERR_OK;
    TRY(set_all(cfg->net, checkpoint, "", cfg->net->weights));
    TRY(set_all(cfg->net, checkpoint, RESUME_MOMENTUM, momentum));
    resume->has_begun = true;
    resume->step = checkpoint->position.step;
    resume->is_final = checkpoint->position.is_final;
    resume->content = checkpoint->content;
    snprintf(resume->parent, sizeof resume->parent, "%s",
             checkpoint->meta.parent ? checkpoint->meta.parent : "");
out:
    return err;
}

static enum err load_here(const struct resume_cfg *cfg, int stage, const struct stage_start *start,
                          float *momentum, struct resume *resume)
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    struct text damage;
    text_init(&damage);
    *resume = (struct resume){0};
    err = load_newest(cfg, stage, false, &checkpoint, &damage);
    bool is_found = err == ERR_OK;
    if (is_found || err == ERR_NOT_FOUND)
        if (damage.size > 0 || (!is_found && start->is_resume))
            say_where(cfg, &damage, is_found, &checkpoint);
    if (err == ERR_NOT_FOUND)
        err = load_start(cfg, stage, start, resume->parent);
    TRY(err);
    if (is_found)
        TRY(mixed_go_on(cfg->mixed, &checkpoint));
    if (is_found)
        TRY(set_resumed(cfg, &checkpoint, momentum, resume));
out:
    checkpoint_fini(&checkpoint);
    text_fini(&damage);
    return err;
}

enum err resume_load(const struct resume_cfg *cfg, int stage, const struct stage_start *start,
                     float *momentum, struct resume *resume)
{
    enum err err = ERR_OK;
    struct resume loaded = {0};
    struct device *device = cfg->net->device;
    device->ops->zero(device, cfg->net->weight_count * sizeof(float), momentum);
    if (cfg->comm->rank == 0)
        err = load_here(cfg, stage, start, momentum, &loaded);
    TRY(comm_agree(cfg->comm, err));
    TRY(cfg->comm->broadcast(cfg->comm, &loaded, sizeof loaded));
    TRY(share(cfg, cfg->net->weights));
    if (loaded.has_begun)
        TRY(share(cfg, momentum));
    *resume = loaded;
out:
    return err;
}

enum err resume_load_teacher(const struct resume_cfg *cfg, float *weights)
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    if (cfg->comm->rank == 0) {
        int stage = blueprint_stage_of_phase(cfg->blueprint, 0);
        if (cfg->blueprint->campaign->teacher.from[0] != '\0')
            err = load_imported(cfg, &checkpoint);
        else if (stage >= 0)
            err = load_stage_final(cfg, stage, &checkpoint);
        else
            err = err_set(ERR_CONFIG, "distillation needs a teacher, and no stage trains one");
        if (err == ERR_OK)
            err = set_all(cfg->net, &checkpoint, "", weights);
    }
    TRY(comm_agree(cfg->comm, err));
    TRY(share(cfg, weights));
out:
    checkpoint_fini(&checkpoint);
    return err;
}

enum err resume_load_trained(const struct resume_cfg *cfg, struct hash *content)
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    if (cfg->comm->rank == 0) {
        int last =
            blueprint_stage_of_phase(cfg->blueprint, cfg->blueprint->schedule.phase_count - 1);
        err =
            last >= 0 ? load_stage_final(cfg, last, &checkpoint) : load_imported(cfg, &checkpoint);
        if (err == ERR_OK && last >= 0)
            err = mixed_go_on(cfg->mixed, &checkpoint);
        else if (err == ERR_OK)
            mixed_inherit(cfg->mixed, &checkpoint);
        if (err == ERR_OK && content)
            *content = checkpoint.content;
        if (err == ERR_OK)
            err = set_all(cfg->net, &checkpoint, "", cfg->net->weights);
    }
    TRY(comm_agree(cfg->comm, err));
    TRY(share(cfg, cfg->net->weights));
    cfg->net->has_statistics = false;
out:
    checkpoint_fini(&checkpoint);
    return err;
}
