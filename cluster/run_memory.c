#include "cluster/run_memory.h"
#include "base/mem.h"
#include "cluster/check/check.h"
#include "kernels/device_module.h"
#include "trainer/compile.h"
#include "trainer/spec/cost.h"
#include <string.h>

#define GB 1e9
/* A check of a network of hardly any size: 41 MiB with two threads and one image, rounded up. Pages
 * of the data set come on top, which the system takes back when it needs them. */
#define CHECK_PROGRAM_BYTES ((size_t)48 << 20)

static int ranks_of(const struct campaign *campaign, const struct graph_stage *stage)
{
    return stage->is_host ? 1 : campaign->resources.ranks;
}

static struct footprint stage_footprint(const struct campaign_run *run,
                                        const struct campaign *campaign, int stage,
                                        const struct phase *phase)
{
    bool is_compile = run->graph.stages[stage].kind == STAGE_COMPILE;
    const struct footprint_cfg cfg = {.campaign = campaign,
                                      .space = &run->space,
                                      .phase = phase,
                                      .precision = is_compile ? COMPILE_PRECISION : NULL,
                                      .ranks = ranks_of(campaign, &run->graph.stages[stage]),
                                      .train_images = run->train_images,
                                      .holdout_images = run->holdout_images,
                                      .test_images = run->test_images,
                                      .image_side = run->image_side};
    struct footprint footprint;
    footprint_of(&cfg, &footprint);
    return footprint;
}

static void count_map(void *own, const struct layer_shape *layer)
{
    size_t *values = own;
    *values += (size_t)layer->K * (size_t)layer->side * (size_t)layer->side;
}

/* A bundle's networks read back, each weight in fp32 and rounded, and every map of an image kept in
 * each arithmetic by each thread; of the largest sub-network, whichever is chosen. */
static size_t check_bytes(const struct campaign_run *run)
{
    const struct space *space = &run->space;
    struct subnet biggest;
    size_t map_values = 0;
    subnet_biggest(space, space->resolutions[space->resolution_count - 1], &biggest);
    layer_walk(space, &biggest, count_map, &map_values);
    size_t weights = (size_t)cost_of(space, &biggest).parameters;
    size_t lanes = (size_t)run->campaign.resources.threads * ARITHMETICS;
    return CHECK_PROGRAM_BYTES +
           sizeof(float) * (lanes * map_values + (size_t)(CHECK_FORMATS + ARITHMETICS) * weights);
}

static void count_stage(const struct campaign_run *run, const struct campaign *campaign, int stage,
                        const struct phase *phase, struct run_memory *memory)
{
    struct footprint footprint = stage_footprint(run, campaign, stage, phase);
    if (!device_is_host(campaign->resources.device)) {
        if (footprint.device_bytes > memory->device_bytes) {
            memory->device_stage = stage;
            memory->device_bytes = footprint.device_bytes;
            memory->scratch_bytes = footprint.scratch_bytes;
        }
    } else if (footprint.gang_bytes > memory->footprint.gang_bytes) {
        memory->stage = stage;
        memory->ranks = ranks_of(campaign, &run->graph.stages[stage]);
        memory->footprint = footprint;
    }
}

void run_memory_of_stages(const struct campaign_run *run, size_t bytes[PLAN_MAX_STAGES])
{
    const struct phase *phase = run->schedule.phases;
    memset(bytes, 0, PLAN_MAX_STAGES * sizeof *bytes);
    if (!device_is_host(run->campaign.resources.device))
        return;
    for (int i = 0; i < run->graph.count; i++) {
        enum stage_kind kind = run->graph.stages[i].kind;
        if (stage_is_verdict(kind))
            bytes[i] = check_bytes(run);
        else if (kind != STAGE_REPORT)
            bytes[i] = stage_footprint(run, &run->campaign, i, kind == STAGE_TRAIN ? phase : NULL)
                           .gang_bytes;
        phase += kind == STAGE_TRAIN;
    }
}

/* With the run's campaign or one that differs from it in its batches. */
static void count_run(const struct campaign_run *run, const struct campaign *campaign,
                      const bool *done, struct run_memory *memory)
{
    const struct phase *phase = run->schedule.phases;
    *memory = (struct run_memory){.stage = -1, .device_stage = -1};
    for (int i = 0; i < run->graph.count; i++) {
        enum stage_kind kind = run->graph.stages[i].kind;
        if (!done[i] && kind != STAGE_REPORT && !stage_is_verdict(kind))
            count_stage(run, campaign, i, kind == STAGE_TRAIN ? phase : NULL, memory);
        phase += kind == STAGE_TRAIN;
    }
}

void run_memory_of(const struct campaign_run *run, const bool *done, struct run_memory *memory)
{
    count_run(run, &run->campaign, done, memory);
}

static bool fits_card(const struct machine_memory *machine, const struct run_memory *memory)
{
    return machine->card_bytes == 0 || memory->device_bytes <= machine->card_bytes;
}

static bool is_enough(const struct machine_memory *machine, const struct run_memory *memory)
{
    return memory->footprint.gang_bytes <= machine->total_bytes && fits_card(machine, memory);
}

static bool fits(const struct campaign_run *run, const struct campaign *campaign, const bool *done,
                 const struct machine_memory *machine)
{
    struct run_memory memory;
    count_run(run, campaign, done, &memory);
    return is_enough(machine, &memory);
}

/* The largest evaluate.calibration_batch that fits; 0: none does. A smaller one takes no more. */
static int largest_calibration(const struct campaign_run *run, const bool *done,
                               const struct machine_memory *machine)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    *campaign = run->campaign;
    int fitting = 1, beyond = campaign->evaluate.calibration_batch;
    for (int batch = 2; batch > fitting && batch < beyond;) {
        campaign->evaluate.calibration_batch = batch;
        if (fits(run, campaign, done, machine))
            fitting = batch;
        else
            beyond = batch;
        batch = fitting + (beyond - fitting) / 2;
    }
    mem_free(campaign);
    return fitting > 1 ? fitting : 0;
}

/* The same of batch.micro, which divides batch.global. */
static int largest_micro(const struct campaign_run *run, const bool *done,
                         const struct machine_memory *machine)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    *campaign = run->campaign;
    int micro = campaign->batch.micro;
    while (--micro > 1) {
        campaign->batch.micro = micro;
        if (campaign->batch.global % micro == 0 && fits(run, campaign, done, machine))
            break;
    }
    mem_free(campaign);
    return micro > 1 ? micro : 0;
}

/* Whether lowering both would do. */
static bool fits_with_smallest(const struct campaign_run *run, const bool *done,
                               const struct machine_memory *machine)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    *campaign = run->campaign;
    campaign->evaluate.calibration_batch = 2;
    campaign->batch.micro = 2;
    while (campaign->batch.global % campaign->batch.micro != 0)
        campaign->batch.micro++;
    bool is_fitting = fits(run, campaign, done, machine);
    mem_free(campaign);
    return is_fitting;
}

/* On the host threads and ranks count, too. */
static void say_cure(const struct campaign_run *run, const bool *done,
                     const struct machine_memory *machine, struct text *text)
{
    bool is_host = device_is_host(run->campaign.resources.device);
    const char *or_lower = ", or lower ";
    int calibration = largest_calibration(run, done, machine);
    int micro = calibration > 0 ? 0 : largest_micro(run, done, machine);
    if (calibration > 0)
        text_add(text, "lower evaluate.calibration_batch (%d fits)", calibration);
    else if (micro > 0)
        text_add(text, "lower batch.micro (%d fits)", micro);
    else if (fits_with_smallest(run, done, machine))
        text_add(text, "neither evaluate.calibration_batch nor batch.micro is enough by itself: "
                       "lower both");
    else {
        text_add(text, "no evaluate.calibration_batch and no batch.micro is small enough");
        or_lower = ": lower ";
        if (is_host)
            text_add(text, ": lower resources.threads (now %d)", run->campaign.resources.threads);
    }
    text_add(text, "%s", is_host ? ", or lower " : or_lower);
    if (is_host)
        text_add(text, "resources.ranks (now %d), ", run->campaign.resources.ranks);
    text_add(text, "resources.image_cache or resolutions, or take a smaller space or width");
}

static void say_need(const struct campaign_run *run, const struct run_memory *memory,
                     struct text *text)
{
    const struct footprint *footprint = &memory->footprint;
    text_add(text, "stage %s needs %.2f GB of memory", run->graph.stages[memory->stage].name,
             (double)footprint->gang_bytes / GB);
    if (memory->ranks > 1)
        text_add(text, " on %d ranks", memory->ranks);
}

static void say_activations(const struct campaign_run *run, const struct footprint *footprint,
                            struct text *text)
{
    const struct space *space = &run->space;
    struct calibration_set set = campaign_calibration(&run->campaign, run->train_images);
    text_add(text,
             " (activations at %d px take %.2f GB of a rank for batch.micro %d, %.2f GB for "
             "evaluate.calibration_batch %d)",
             space->resolutions[space->resolution_count - 1], (double)footprint->micro_bytes / GB,
             run->campaign.batch.micro, (double)footprint->calibration_bytes / GB, set.batch);
}

static struct footprint footprint_of_stage(const struct campaign_run *run, int stage)
{
    const struct phase *phase = run->schedule.phases;
    for (int i = 0; i < stage; i++)
        phase += run->graph.stages[i].kind == STAGE_TRAIN;
    bool trains = run->graph.stages[stage].kind == STAGE_TRAIN;
    return stage_footprint(run, &run->campaign, stage, trains ? phase : NULL);
}

static void say_card(const struct campaign_run *run, const struct machine_memory *machine,
                     const struct run_memory *memory, struct text *text)
{
    struct footprint footprint = footprint_of_stage(run, memory->device_stage);
    text_add(text, "stage %s needs %.2f GB of its device's memory for a rank",
             run->graph.stages[memory->device_stage].name, (double)memory->device_bytes / GB);
    say_activations(run, &footprint, text);
    text_add(text, ", but a card of device %s here has %.2f GB: ", run->campaign.resources.device,
             (double)machine->card_bytes / GB);
}

enum err run_memory_check(const struct campaign_run *run, const bool *done,
                          const struct machine_memory *machine, struct run_memory *memory)
{
    enum err err = ERR_OK;
    struct text text;
    text_init(&text);
    run_memory_of(run, done, memory);
    if (is_enough(machine, memory))
        goto out;
    if (!fits_card(machine, memory)) {
        say_card(run, machine, memory, &text);
    } else {
        say_need(run, memory, &text);
        say_activations(run, &memory->footprint, &text);
        text_add(&text, ", but %s %.2f GB: ", machine->whose, (double)machine->total_bytes / GB);
    }
    say_cure(run, done, machine, &text);
    err = err_set(ERR_CONFIG, "%s", text_get(&text));
out:
    text_fini(&text);
    return err;
}

enum err run_memory_there(const struct campaign *campaign, struct machine_memory *machine)
{
    enum err err = ERR_OK;
    const char *device = campaign->resources.device;
    struct device_cards cards;
    TRY(machine_memory_read("", machine));
    if (!device_is_host(device) && device_module_cards(device, &cards) == ERR_OK)
        machine->card_bytes = cards.least_bytes; /* else it is run elsewhere, or says so itself */
out:
    return err;
}

enum err run_memory_survey(const struct campaign_run *run, const struct survey *survey,
                           struct machine_memory *machine, struct run_memory *memory)
{
    enum err err = ERR_OK;
    bool done[PLAN_MAX_STAGES] = {false};
    for (int i = 0; i < survey->count; i++)
        done[i] = survey->stages[i].verdict == SURVEY_DONE;
    TRY(run_memory_there(&run->campaign, machine));
    TRY(run_memory_check(run, done, machine, memory));
out:
    return err;
}
