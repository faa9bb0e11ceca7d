#include "trainer/workbench.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/published.h"
#include "base/scratch_folder.h"
#include "trainer/checkpoint/lineage.h"
#include "trainer/data/staged.h"
#include "trainer/gang/common_isa.h"
#include "trainer/stage_workload.h"
#include <time.h>

#define SPACE_FILE_BYTES ((size_t)1 << 20)
#define STORE_WAIT_S     20.0

static enum err read_device(const struct workbench *bench, struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->cfg.campaign;
    const char *precision = bench->cfg.precision ? bench->cfg.precision : campaign->precision;
    *cfg = (struct device_cfg){.name = campaign->resources.device,
                               .threads = campaign->resources.threads};
    TRY(isa_parse(campaign->resources.isa, &cfg->isa));
    TRY(precision_parse(precision, &cfg->precision));
out:
    return err;
}

/* Collective. */
static enum err choose_isa(struct workbench *bench, struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    struct text differ;
    text_init(&differ);
    TRY(common_isa_choose(bench->comm, cfg->isa, device_isa(cfg), &cfg->isa, &differ));
    if (differ.size > 0)
        reporter_warn(&bench->reporter, text_get(&differ));
out:
    text_fini(&differ);
    return err;
}

static enum err open_device(struct workbench *bench, const struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    TRY(device_open(cfg, &bench->device));
    TRY(supernet_create(&bench->blueprint.space, bench->device, &bench->net));
    mixed_init(&bench->mixed, bench->device->lineage, bench->cfg.campaign->resources.lineage,
               &bench->reporter);
out:
    return err;
}

/* A teacher trained elsewhere is part of what a stage depends on: its content, and the widths that
 * a sort has to keep. Collective: the schedule is the same on every rank. */
static enum err take_teacher(struct workbench *bench)
{
    enum err err = ERR_OK;
    if (bench->comm->rank == 0)
        err = given_teacher_read(bench->cfg.campaign->teacher.from, &bench->teacher);
    TRY(comm_agree(bench->comm, err));
    TRY(bench->comm->broadcast(bench->comm, &bench->teacher, sizeof bench->teacher));
    TRY(schedule_give(&bench->blueprint.schedule, &bench->blueprint.space,
                      &bench->teacher.trained));
out:
    return err;
}

static void compute_keys(struct workbench *bench)
{
    const struct blueprint *made = &bench->blueprint;
    struct hash *keys = bench->provenance.keys;
    for (int stage = 0; stage < made->plan.stage_count; stage++) {
        struct text lines;
        text_init(&lines);
        campaign_stage_inputs(made->campaign, &made->space, &made->schedule, &made->plan, stage,
                              &lines);
        keys[stage] = campaign_stage_key(text_get(&lines), &made->plan, stage, keys,
                                         &bench->provenance.dataset, bench->teacher.content);
        text_fini(&lines);
    }
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

/* Every checkpoint says where it comes from. */
static enum err fill_provenance(struct workbench *bench)
{
    enum err err = ERR_OK;
    struct provenance *provenance = &bench->provenance;
    const struct campaign *campaign = bench->cfg.campaign;
    const char *version = bench->cfg.version ? bench->cfg.version : "unversioned";
    struct text text, lineage;
    size_t size_bytes = 0;
    text_init(&text);
    text_init(&lineage);
    provenance->dataset = dataset_info(bench->splits.dataset)->content;
    provenance->lease_epoch = bench->cfg.lease_epoch;
    compute_keys(bench);
    TRY(file_read(campaign->space_path, SPACE_FILE_BYTES, &provenance->space, &size_bytes));
    campaign_write(campaign, &text);
    provenance->campaign = mem_string(text_get(&text));
    lineage_write(version, bench->device->lineage, &lineage);
    provenance->lineage = mem_string(text_get(&lineage));
out:
    text_fini(&text);
    text_fini(&lineage);
    return err;
}

/* Only a stage that trains writes checkpoints. */
static bool is_writer(const struct workbench *bench)
{
    const char *name = bench->cfg.stage;
    int stage = name ? blueprint_find_stage(&bench->blueprint, name) : -1;
    if (bench->cfg.only_reads)
        return false;
    return stage < 0 || bench->blueprint.plan.stages[stage].kind == STAGE_TRAIN;
}

/* Nothing was ever trained here: an empty one, for others to read too. */
static enum err make_store(const struct checkpoint_store_cfg *cfg)
{
    enum err err = ERR_OK;
    struct checkpoint_store_cfg made = *cfg;
    struct checkpoint_store *store = NULL;
    made.is_writer = true;
    TRY(wait_for_store(&made, &store));
out:
    checkpoint_store_close(&store);
    return err;
}

static enum err open_store(struct workbench *bench)
{
    enum err err = ERR_OK;
    const char *stores = bench->cfg.stores;
    char *path = stores ? file_join(stores, PUBLISHED_CHECKPOINTS)
                        : published_find_store(bench->folder, PUBLISHED_CHECKPOINTS);
    if (!bench->cfg.only_reads)
        TRY(file_make_folders(path));
    struct checkpoint_store_cfg cfg = {
        .path = path, .is_writer = is_writer(bench), .keep = bench->cfg.campaign->checkpoint.keep};
    err = wait_for_store(&cfg, &bench->store);
    if (err == ERR_NOT_FOUND && !bench->cfg.only_reads) {
        TRY(make_store(&cfg));
        err = wait_for_store(&cfg, &bench->store);
    }
    TRY(err);
out:
    mem_free(path);
    return err;
}

/* What only rank 0 needs. */
static enum err open_first(struct workbench *bench)
{
    enum err err = ERR_OK;
    TRY(open_store(bench));
    TRY(fill_provenance(bench));
out:
    return err;
}

/* A rank that copies, or waits for the one that does, stands still for the disk's sake. */
static enum err stage_images(struct workbench *bench, struct text *path)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->cfg.campaign;
    struct rank_work *work = bench->cfg.observer ? bench->cfg.observer->work : NULL;
    struct text scratch;
    text_init(&scratch);
    TRY(scratch_expand(campaign->resources.scratch, &scratch));
    if (work)
        atomic_store(&work->is_waiting, true);
    err = dataset_stage(campaign->dataset.path, text_get(&scratch), path);
    if (work)
        atomic_store(&work->is_waiting, false);
out:
    text_fini(&scratch);
    return err;
}

static enum err open_images(struct workbench *bench)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->cfg.campaign;
    struct text path;
    text_init(&path);
    if (bench->cfg.stages_images && campaign->resources.scratch[0])
        TRY(stage_images(bench, &path));
    else
        text_add(&path, "%s", campaign->dataset.path);
    TRY(splits_open(campaign, text_get(&path), &bench->splits));
out:
    text_fini(&path);
    return err;
}

/* What a rank can open without the others. */
static enum err open_alone(struct workbench *bench, struct device_cfg *device)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->cfg.campaign;
    TRY(open_images(bench));
    const struct dataset_info *info = dataset_info(bench->splits.dataset);
    TRY(blueprint_make(campaign, info->classes, info->channels, &bench->blueprint));
    TRY(read_device(bench, device));
out:
    return err;
}

static void log_opened(const struct workbench *bench)
{
    const struct splits *splits = &bench->splits;
    if (bench->comm->rank == 0)
        log_info(
            "opened campaign=%s ranks=%d train=%u holdout=%u test=%u weights=%zu device=\"%s\"",
            bench->cfg.campaign->name, bench->comm->size, splits->train_count,
            splits->holdout_count, splits->test_count, bench->net->weight_count,
            bench->device->lineage);
}

enum err workbench_open(const struct workbench_cfg *cfg, struct workbench **result)
{
    enum err err = ERR_OK;
    struct device_cfg device;
    struct workbench *bench = mem_alloc(sizeof *bench);
    bench->cfg = *cfg;
    bench->comm = cfg->comm;
    bench->reporter = (struct reporter){.observer = cfg->observer, .rank = cfg->comm->rank};
    bench->folder = mem_string(cfg->folder ? cfg->folder : cfg->campaign->run_folder);
    err = open_alone(bench, &device);
    TRY(comm_agree(bench->comm, err));
    TRY(choose_isa(bench, &device));
    err = open_device(bench, &device);
    TRY(comm_agree(bench->comm, err));
    TRY(take_teacher(bench));
    err = bench->comm->rank == 0 ? open_first(bench) : ERR_OK;
    TRY(comm_agree(bench->comm, err));
    TRY(mixed_gang(&bench->mixed, bench->comm));
    err = comm_on_device(bench->comm, bench->device, &bench->device_comm);
    TRY(comm_agree(bench->comm, err));
    log_opened(bench);
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
    splits_close(&bench->splits);
    provenance_fini(&bench->provenance);
    mixed_fini(&bench->mixed);
    mem_free(bench->folder);
    mem_free(bench);
    *pointer = NULL;
}

static enum err prepare_device(struct workbench *bench, const struct phase *phase,
                               const struct subnet *subnet)
{
    enum err err = ERR_OK;
    const struct splits *splits = &bench->splits;
    const struct dataset_info *info = dataset_info(splits->dataset);
    struct workload workload = {0};
    struct stage_workload stage = {
        .net = bench->net,
        .campaign = bench->blueprint.campaign,
        .phase = phase,
        .subnet = subnet,
        .train_images = splits->train_count,
        .holdout_images = splits->holdout_count,
        .test_images = splits->test_count,
        .image_side = info->max_height > info->max_width ? info->max_height : info->max_width};
    TRY(stage_workload_add(&stage, &workload));
    TRY(bench->device->ops->prepare(bench->device, &workload));
out:
    workload_fini(&workload);
    return err;
}

enum err workbench_prepare(struct workbench *bench, const struct phase *phase,
                           const struct subnet *subnet)
{
    return comm_agree(bench->comm, prepare_device(bench, phase, subnet));
}

struct resume_cfg workbench_resume(struct workbench *bench)
{
    return (struct resume_cfg){.blueprint = &bench->blueprint,
                               .comm = bench->comm,
                               .net = bench->net,
                               .mixed = &bench->mixed,
                               .store = bench->store,
                               .provenance = &bench->provenance};
}

struct evaluate_parts workbench_evaluate(struct workbench *bench)
{
    return (struct evaluate_parts){.campaign = bench->cfg.campaign,
                                   .splits = &bench->splits,
                                   .comm = bench->comm,
                                   .device_comm = bench->device_comm,
                                   .net = bench->net,
                                   .exchange = bench->cfg.exchange,
                                   .lineage = text_get(&bench->mixed.gang),
                                   .reporter = &bench->reporter};
}

struct run_record workbench_record(const struct workbench *bench)
{
    return (struct run_record){.folder = bench->folder,
                               .claim = bench->cfg.claim,
                               .lineage = bench->provenance.lineage,
                               .mixed = &bench->mixed.others};
}
