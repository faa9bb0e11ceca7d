/* bench_search CAMPAIGN DATASET [SUBNETS [THREADS [KEY=VALUE...]]]: sub-networks calibrated and
 * measured a second, as a search measures them, as JSON. A gang of one, random weights, and random
 * sub-networks of the campaign's space in generations of search.population; nothing is remembered.
 * One at every resolution is measured before, uncounted, so that images are where the others find
 * them. At least SUBNETS (64) are timed, on THREADS (2). */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/evaluate/evaluate_open.h"
#include "trainer/spec/blueprint.h"
#include "trainer/stage_workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_SETS = 16 };

struct bench {
    struct campaign *campaign;
    struct blueprint *blueprint;
    struct splits splits;
    struct comm comm;
    struct device *device;
    struct device_comm *device_comm;
    struct supernet *net;
    struct reporter reporter;
    struct evaluate *evaluate;
    struct evaluator evaluator;
    struct candidate *generation; /* (search.population) */
};

struct timing {
    double wall_seconds, cpu_seconds;
};

static struct timing now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct timing){clock_seconds(),
                           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6};
}

static enum err load(struct bench *bench, int argc, char **argv)
{
    enum err err = ERR_OK;
    struct campaign_override sets[MAX_SETS] = {{"dataset.path", argv[2]},
                                               {"search.targets", "[]"},
                                               {"resources.ranks", "1"},
                                               {"resources.threads", argc > 4 ? argv[4] : "2"}};
    int count = 4;
    for (int i = 5; i < argc && count < MAX_SETS; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            TRY(err_set(ERR_USAGE, "%s: KEY=VALUE was expected", argv[i]));
        *equals = '\0';
        sets[count++] = (struct campaign_override){argv[i], equals + 1};
    }
    TRY(campaign_load(argv[1], sets, count, bench->campaign));
    TRY(splits_open(bench->campaign, bench->campaign->dataset.path, &bench->splits));
    const struct dataset_info *info = dataset_info(bench->splits.dataset);
    TRY(blueprint_make(bench->campaign, info->classes, info->channels, bench->blueprint));
out:
    return err;
}

static enum err prepare(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct dataset_info *info = dataset_info(bench->splits.dataset);
    struct workload workload = {0};
    struct stage_workload stage = {
        .net = bench->net,
        .campaign = bench->campaign,
        .train_images = bench->splits.train_count,
        .holdout_images = bench->splits.holdout_count,
        .test_images = bench->splits.test_count,
        .image_side = info->max_height > info->max_width ? info->max_height : info->max_width};
    TRY(stage_workload_add(&stage, &workload));
    TRY(bench->device->ops->prepare(bench->device, &workload));
out:
    workload_fini(&workload);
    return err;
}

static enum err open_bench(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->campaign;
    struct device_cfg cfg = {.name = campaign->resources.device,
                             .threads = campaign->resources.threads};
    TRY(isa_parse(campaign->resources.isa, &cfg.isa));
    TRY(precision_parse(campaign->precision, &cfg.precision));
    TRY(device_open(&cfg, &bench->device));
    comm_alone(&bench->comm);
    bench->device_comm = comm_staged(&bench->comm, bench->device);
    TRY(supernet_create(&bench->blueprint->space, bench->device, &bench->net));
    supernet_init_weights(bench->net, 1);
    TRY(prepare(bench));
    struct evaluate_parts parts = {.campaign = campaign,
                                   .splits = &bench->splits,
                                   .comm = &bench->comm,
                                   .device_comm = bench->device_comm,
                                   .net = bench->net,
                                   .lineage = "",
                                   .reporter = &bench->reporter};
    TRY(evaluate_open(&parts, NULL, &bench->evaluate));
    evaluate_as_evaluator(bench->evaluate, &bench->evaluator);
out:
    return err;
}

static void close_bench(struct bench *bench)
{
    evaluate_destroy(&bench->evaluate);
    supernet_destroy(&bench->net);
    device_comm_close(&bench->device_comm);
    device_close(&bench->device);
    splits_close(&bench->splits);
    mem_free(bench->generation);
    mem_free(bench->blueprint);
    mem_free(bench->campaign);
}

static void draw(const struct bench *bench, uint64_t index, struct subnet *subnet)
{
    const struct space *space = &bench->blueprint->space;
    struct open_choices all = {space->kernels, space->expansions, space->depths};
    subnet_sample(space, &all, 1, index, 0, subnet);
    uint32_t resolution =
        rng_below(rng(1, RNG_TEST, 0, index, 0), (uint32_t)space->resolution_count);
    subnet->resolution = space->resolutions[resolution];
    subnet_canonical(space, subnet);
}

static enum err warm_up(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct space *space = &bench->blueprint->space;
    for (int i = 0; i < space->resolution_count; i++) {
        struct candidate candidate = {0};
        subnet_smallest(space, space->resolutions[i], &candidate.subnet);
        TRY(bench->evaluator.measure(&bench->evaluator, &candidate, 1));
    }
out:
    return err;
}

static enum err measure(struct bench *bench, uint64_t subnets)
{
    enum err err = ERR_OK;
    int population = bench->campaign->search.population;
    uint64_t done = 0;
    struct rusage usage;
    bench->generation = mem_array((size_t)population, sizeof *bench->generation);
    TRY(warm_up(bench));
    struct timing start = now();
    while (done < subnets) {
        for (int i = 0; i < population; i++)
            draw(bench, done + (uint64_t)i, &bench->generation[i].subnet);
        TRY(bench->evaluator.measure(&bench->evaluator, bench->generation, population));
        done += (uint64_t)population;
    }
    struct timing end = now();
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"space\": \"%s\", \"device\": \"%s\", \"threads\": %d, \"subnets\": %llu, "
           "\"subnets_per_second\": %.2f, \"cpu_seconds_per_subnet\": %.4f, \"peak_mb\": %.0f, "
           "\"last_loss\": %.9f}\n",
           bench->blueprint->space.name, bench->device->lineage, bench->campaign->resources.threads,
           (unsigned long long)done, (double)done / (end.wall_seconds - start.wall_seconds),
           (end.cpu_seconds - start.cpu_seconds) / (double)done, (double)usage.ru_maxrss / 1024,
           bench->generation[population - 1].loss);
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {0};
    if (argc < 3) {
        fprintf(stderr,
                "usage: bench_search CAMPAIGN DATASET [SUBNETS [THREADS [KEY=VALUE...]]]\n");
        return 2;
    }
    bench.campaign = mem_alloc(sizeof *bench.campaign);
    bench.blueprint = mem_alloc(sizeof *bench.blueprint);
    TRY(load(&bench, argc, argv));
    TRY(open_bench(&bench));
    TRY(measure(&bench, argc > 3 ? strtoull(argv[3], NULL, 10) : 64));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_search: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
