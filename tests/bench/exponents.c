/* bench_exponents CAMPAIGN RUN_FOLDER [KEY=VALUE ...]: trains a campaign's stages in this process
 * and counts the binary exponents of every gradient that a backward pass stores in a map. What is
 * smaller than a type's smallest normal number (2^-126 of fp32 and bf16, 2^-14 of fp16) would need
 * a loss scale. A table, one row a stage. The CPU device. */
#include "base/mem.h"
#include "kernels/device.h"
#include "trainer/gang/comm.h"
#include "trainer/stage.h"
#include <stdio.h>
#include <string.h>

enum { EXPONENTS = 256 /* as fp32 and bf16 have them */ };

/* Static: the operations have no room for a pointer of ours. */
static struct {
    const struct device_ops *ops; /* the device's own */
    struct device_ops counting;
    size_t map_bytes;
    uint64_t counts[EXPONENTS]; /* biased by 127; 0: denormal */
    uint64_t zeros;
} found;

static void count_value(uint32_t bits)
{
    if ((bits & 0x7fffffff) == 0)
        found.zeros++;
    else
        found.counts[bits >> 23 & 0xff]++;
}

static void count_map(struct dims dims, const void *map)
{
    size_t count = (size_t)dims_pixels(dims) * (size_t)dims.C;
    const uint16_t *narrow = map;
    const float *wide = map;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        if (found.map_bytes == sizeof *narrow)
            bits = (uint32_t)narrow[i] << 16;
        else
            memcpy(&bits, &wide[i], sizeof bits);
        count_value(bits);
    }
}

static void pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    found.ops->pw_backward(device, conv, dz, x, w, sink, dw);
    if (sink)
        count_map(conv->in, sink->q);
}

static void dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    found.ops->dw_backward(device, conv, dz, x, w, sink, dw);
    if (sink)
        count_map(conv->in, sink->q);
}

static void begin(struct device *device)
{
    found.ops = device->ops;
    found.map_bytes = device->map_bytes;
    found.counting = *device->ops;
    found.counting.pw_backward = pw_backward;
    found.counting.dw_backward = dw_backward;
    device->ops = &found.counting;
}

/* The smallest exponent below which lies at most this share of what is not zero. */
static int exponent_at(double share)
{
    uint64_t all = 0, below = 0;
    for (int i = 0; i < EXPONENTS; i++)
        all += found.counts[i];
    for (int i = 0; i < EXPONENTS; i++) {
        below += found.counts[i];
        if (below > 0 && (double)below > share * (double)all)
            return i - 127;
    }
    return 128;
}

static double share_below(int exponent)
{
    uint64_t all = 0, below = 0;
    for (int i = 0; i < EXPONENTS; i++) {
        all += found.counts[i];
        below += i - 127 < exponent ? found.counts[i] : 0;
    }
    return all ? (double)below / (double)all : 0;
}

static void print_row(const char *stage)
{
    uint64_t all = found.zeros;
    for (int i = 0; i < EXPONENTS; i++)
        all += found.counts[i];
    printf("| %s | %.3g | %.1f %% | %d | %d | %d | %d | %.2g %% | %.2g %% |\n", stage, (double)all,
           100 * (double)found.zeros / (double)(all ? all : 1), exponent_at(0), exponent_at(1e-6),
           exponent_at(0.5), exponent_at(1 - 1e-12), 100 * share_below(-14),
           100 * share_below(-126));
    fflush(stdout);
    memset(found.counts, 0, sizeof found.counts);
    found.zeros = 0;
}

static enum err run_stages(struct workbench *bench)
{
    enum err err = ERR_OK;
    const struct plan *plan = &bench->blueprint.plan;
    printf(
        "| stage | gradients | zero | smallest, 2^ | a millionth below, 2^ | median, 2^ | largest, "
        "2^ | below 2^-14 | below 2^-126 |\n|---|---|---|---|---|---|---|---|---|\n");
    begin(bench->device);
    for (int i = 0; i < plan->stage_count; i++) {
        struct stage_result result;
        if (plan->stages[i].kind != STAGE_TRAIN)
            continue;
        TRY(stage_run(bench, plan->stages[i].name, &(struct stage_start){0}, &result));
        print_row(plan->stages[i].name);
    }
out:
    bench->device->ops = found.ops;
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    enum { MOST = 32 };
    struct campaign_override sets[MOST];
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct workbench *bench = NULL;
    struct comm comm;
    int count = 0;
    if (argc < 3 || argc - 3 > MOST) {
        fprintf(stderr, "usage: bench_exponents CAMPAIGN RUN_FOLDER [KEY=VALUE ...]\n");
        return 2;
    }
    for (; count < argc - 3; count++) {
        char *equals = strchr(argv[count + 3], '=');
        if (!equals)
            TRY(err_set(ERR_USAGE, "%s is no KEY=VALUE", argv[count + 3]));
        *equals = '\0';
        sets[count] = (struct campaign_override){argv[count + 3], equals + 1};
    }
    TRY(campaign_load(argv[1], sets, count, campaign));
    comm_alone(&comm);
    struct workbench_cfg cfg = {.campaign = campaign, .folder = argv[2], .comm = &comm};
    TRY(workbench_open(&cfg, &bench));
    TRY(run_stages(bench));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_exponents: %s\n", err_text());
    workbench_close(&bench);
    mem_free(campaign);
    return err_exit_code(err);
}
