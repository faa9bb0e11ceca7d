#include "trainer/supernet/dry_run.h"
#include "base/mem.h"
#include "kernels/dry_device.h"
#include "trainer/supernet/activation_arena.h"

struct dry_run {
    struct device device;
    struct supernet net; /* the given one on the dry device */
    struct activation_arena *arena;
    int N;
    enum pass_mode mode;
};

/* The dry device's memory cannot fail. */
static void *alloc(struct dry_run *run, size_t size_bytes)
{
    void *memory = NULL;
    if (run->device.ops->alloc(&run->device, size_bytes, &memory) != ERR_OK)
        BUG("%s", err_text());
    return memory;
}

static void open_run(struct dry_run *run, const struct supernet *net, int resolution,
                     struct workload *workload)
{
    dry_device_init(&run->device, net->map_bytes, workload);
    run->net = *net;
    run->net.device = &run->device;
    run->net.weights = alloc(run, net->weight_count * sizeof(float));
    run->net.shadow = alloc(run, net->weight_count * net->map_bytes);
    run->net.means = alloc(run, net->statistic_count * sizeof(float));
    run->net.variances = alloc(run, net->statistic_count * sizeof(float));
    run->net.has_statistics = true;
    if (activation_arena_create(&run->net, run->N, resolution, run->mode, &run->arena) != ERR_OK)
        BUG("%s", err_text());
    run->arena->poison.is_on = false; /* there is nothing to spoil */
}

static enum err run_pass(struct dry_run *run, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    const float *logits = NULL;
    void *memory = alloc(run, 0);
    struct forward forward = {.subnet = subnet,
                              .weights = run->net.weights,
                              .shadow = run->net.shadow,
                              .images = memory,
                              .N = run->N,
                              .mode = run->mode,
                              .dropout = 0.5f,
                              .flaw = {.word = memory}};
    TRY(supernet_forward(&run->net, run->arena, &forward, &logits));
    if (run->mode == PASS_TRAIN)
        supernet_backward(&run->net, run->arena, &forward, memory, memory);
out:
    return err;
}

enum err dry_run_subnet(const struct supernet *net, const struct subnet *subnet, int N,
                        enum pass_mode mode, struct workload *workload)
{
    struct dry_run run = {.N = N, .mode = mode};
    open_run(&run, net, subnet->resolution, workload);
    enum err err = run_pass(&run, subnet);
    activation_arena_destroy(&run.arena);
    return err;
}

static void run_uniform(struct dry_run *run, int resolution)
{
    const struct space *space = run->net.space;
    struct subnet subnet;
    for (int k = 0; k < space->kernels.count; k++)
        for (int e = 0; e < space->expansions.count; e++) {
            subnet_uniform(space, space->kernels.value[k], space->expansions.value[e],
                           choices_max(&space->depths), resolution, &subnet);
            if (run_pass(run, &subnet) != ERR_OK)
                BUG("a uniform sub-network: %s", err_text());
        }
}

void dry_run_space(const struct supernet *net, int N, enum pass_mode mode,
                   struct workload *workload)
{
    const struct space *space = net->space;
    struct dry_run run = {.N = N, .mode = mode};
    open_run(&run, net, space->resolutions[space->resolution_count - 1], workload);
    for (int i = 0; i < space->resolution_count; i++)
        run_uniform(&run, space->resolutions[i]);
    activation_arena_destroy(&run.arena);
}
