#include "trainer/workbench.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/lineage.h"
#include "trainer/mixed.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SPACE_FILE_BYTES ((size_t)1 << 20)
#define STORE_WAIT_S     20.0

struct augment_cfg workbench_augment(const struct campaign *campaign)
{
    return (struct augment_cfg){.crop_min = campaign->dataset.crop_min,
                                .has_flip = campaign->dataset.flip,
                                .has_colour = campaign->dataset.colour,
                                .brightness = 32.0 / 255.0,
                                .saturation = 0.5};
}

static enum err open_data(struct workbench *bench)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->campaign;
    uint32_t holdout = campaign->dataset.holdout;
    TRY(dataset_open(campaign->dataset.path, &bench->dataset));
    TRY(dataset_split(bench->dataset, SPLIT_TRAIN, holdout, &bench->train, &bench->train_count));
    TRY(dataset_split(bench->dataset, SPLIT_HOLDOUT, holdout, &bench->holdout,
                      &bench->holdout_count));
    TRY(dataset_split(bench->dataset, SPLIT_TEST, holdout, &bench->test, &bench->test_count));
    bench->augment = workbench_augment(campaign);
out:
    return err;
}

static enum err open_device(struct workbench *bench)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->campaign;
    struct device_cfg cfg = {.name = campaign->resources.device,
                             .threads = campaign->resources.threads};
    TRY(isa_parse(campaign->resources.isa, &cfg.isa));
    TRY(device_open(&cfg, &bench->device));
    TRY(supernet_create(&bench->space, bench->device, &bench->net));
out:
    return err;
}

/* A teacher trained elsewhere is part of what a stage depends on: its content, and the widths that
 * a sort has to keep. Collective: the schedule is the same on every rank. */
static enum err take_teacher(struct workbench *bench)
{
    enum err err = ERR_OK;
    if (bench->comm->rank == 0)
        err = given_teacher_read(bench->campaign->teacher.from, &bench->teacher);
    TRY(comm_agree(bench->comm, err));
    TRY(bench->comm->broadcast(bench->comm, &bench->teacher, sizeof bench->teacher));
    TRY(schedule_give(&bench->schedule, &bench->space, &bench->teacher.trained));
out:
    return err;
}

static void compute_keys(struct workbench *bench)
{
    struct text lines;
    text_init(&lines);
    for (int stage = 0; stage < bench->plan.stage_count; stage++) {
        campaign_stage_inputs(bench->campaign, &bench->space, &bench->schedule, &bench->plan, stage,
                              &lines);
        bench->keys[stage] =
            campaign_stage_key(text_get(&lines), &bench->plan, stage, bench->keys,
                               &dataset_info(bench->dataset)->content, bench->teacher.content);
        text_fini(&lines);
        text_init(&lines);
    }
    text_fini(&lines);
}

/* A gang that was killed a moment ago may still hold the store: waits for its end a little. */
static enum err wait_for_store(const struct checkpoint_store_cfg *cfg,
                               struct checkpoint_store **store)
{
    double end = clock_seconds() + STORE_WAIT_S;
    for (;;) {
        enum err err = checkpoint_store_open(cfg, store);
        if (err != ERR_AGAIN || clock_seconds() > end)
            return err;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

/* What only rank 0 needs: the store, the keys, the texts that go into checkpoints. */
static enum err open_store(struct workbench *bench)
{
    enum err err = ERR_OK;
    char *path = file_join(bench->folder, "checkpoints");
    struct text text;
    size_t size_bytes = 0;
    text_init(&text);
    compute_keys(bench);
    TRY(file_make_folders(path));
    struct checkpoint_store_cfg cfg = {
        .path = path, .is_writer = true, .keep = bench->campaign->checkpoint.keep};
    TRY(wait_for_store(&cfg, &bench->store));
    TRY(file_read(bench->campaign->space_path, SPACE_FILE_BYTES, &bench->space_text, &size_bytes));
    campaign_write(bench->campaign, &text);
    bench->campaign_text = mem_string(text_get(&text));
    text_fini(&text);
    text_init(&text);
    lineage_write(bench->cfg.version ? bench->cfg.version : "unversioned", bench->device->lineage,
                  &text);
    bench->lineage = mem_string(text_get(&text));
out:
    text_fini(&text);
    mem_free(path);
    return err;
}

/* What a rank can open without the others. */
static enum err open_alone(struct workbench *bench)
{
    enum err err = ERR_OK;
    TRY(open_data(bench));
    const struct dataset_info *info = dataset_info(bench->dataset);
    TRY(campaign_space(bench->campaign, info->classes, info->channels, &bench->space));
    campaign_schedule(bench->campaign, &bench->space, &bench->schedule);
    campaign_expand(bench->campaign, &bench->schedule, &bench->plan);
    TRY(open_device(bench));
out:
    return err;
}

enum err workbench_open(const struct workbench_cfg *cfg, struct workbench **result)
{
    enum err err = ERR_OK;
    struct workbench *bench = mem_alloc(sizeof *bench);
    bench->cfg = *cfg;
    bench->campaign = cfg->campaign;
    bench->comm = cfg->comm;
    text_init(&bench->mixed);
    bench->folder = mem_string(cfg->folder ? cfg->folder : cfg->campaign->run_folder);
    err = open_alone(bench);
    TRY(comm_agree(bench->comm, err));
    TRY(take_teacher(bench));
    err = bench->comm->rank == 0 ? open_store(bench) : ERR_OK;
    TRY(comm_agree(bench->comm, err));
    TRY(mixed_gang(bench));
    err = comm_on_device(bench->comm, bench->device, &bench->device_comm);
    TRY(comm_agree(bench->comm, err));
    if (bench->comm->rank == 0)
        log_info(
            "opened campaign=%s ranks=%d train=%u holdout=%u test=%u weights=%zu device=\"%s\"",
            bench->campaign->name, bench->comm->size, bench->train_count, bench->holdout_count,
            bench->test_count, bench->net->weight_count, bench->device->lineage);
    *result = bench;
    bench = NULL;
out:
    workbench_close(&bench);
    return err;
}

void workbench_close(struct workbench **pointer)
{
    struct workbench *bench = *pointer;
    if (!bench)
        return;
    checkpoint_store_close(&bench->store);
    supernet_destroy(&bench->net);
    device_comm_close(&bench->device_comm);
    device_close(&bench->device);
    dataset_close(&bench->dataset);
    mem_free(bench->train);
    mem_free(bench->holdout);
    mem_free(bench->test);
    mem_free(bench->campaign_text);
    mem_free(bench->space_text);
    mem_free(bench->lineage);
    text_fini(&bench->mixed);
    mem_free(bench->folder);
    mem_free(bench);
    *pointer = NULL;
}

int workbench_find_stage(const struct workbench *bench, const char *name)
{
    for (int stage = 0; stage < bench->plan.stage_count; stage++)
        if (strcmp(bench->plan.stages[stage].name, name) == 0)
            return stage;
    return -1;
}

enum err workbench_path(const struct workbench *bench, const char *sub, const char *name,
                        const char *ending, char **path)
{
    enum err err = ERR_OK;
    struct text text;
    char *folder = file_join(bench->folder, sub);
    text_init(&text);
    TRY(file_make_folders(folder));
    text_add(&text, "%s/%s%s", folder, name, ending);
    *path = mem_string(text_get(&text));
out:
    text_fini(&text);
    mem_free(folder);
    return err;
}

bool workbench_wants_stop(const struct workbench *bench)
{
    const struct observer *observer = bench->cfg.observer;
    return observer && observer->wants_stop && observer->wants_stop(observer->own);
}

void workbench_progress(struct workbench *bench, const struct progress *progress)
{
    const struct observer *observer = bench->cfg.observer;
    bench->last = *progress;
    if (bench->comm->rank == 0 && observer && observer->progress)
        observer->progress(observer->own, progress);
}

void workbench_is_alive(struct workbench *bench)
{
    const struct progress last = bench->last;
    if (last.doing)
        workbench_progress(bench, &last);
}

void workbench_warn(const struct workbench *bench, const char *text)
{
    const struct observer *observer = bench->cfg.observer;
    if (bench->comm->rank != 0)
        return;
    log_warn("%s", text);
    if (observer && observer->warning)
        observer->warning(observer->own, text);
}

void workbench_saved(const struct workbench *bench, uint64_t step, const struct hash *content)
{
    const struct observer *observer = bench->cfg.observer;
    if (bench->comm->rank == 0 && observer && observer->saved)
        observer->saved(observer->own, step, content);
}
