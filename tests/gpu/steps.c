/* gpu_steps SPACE RESOLUTION [--device cuda] [--precision fp32] [--global 32] [--micro 16]
 * [--threads 2]: the first steps of every phase of the schedule "ofa" on two devices, the CPU and
 * another, from the same weights, images and draws: teacher, sub-networks, tree of gradients,
 * update. Prints for each phase both losses of the last step, and how far the weights are apart, as
 * a share of the way they have gone. Ends with 1 where that is more than rounding explains. A gang
 * of one; needs neither MPI nor a data set, so that it runs wherever the device does. */
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/memory.h"
#include "tests/bench/options.h"
#include "trainer/train/step.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 3, CLASSES = 10, CHANNELS = 3 };
#define RATE 0.02

struct side { /* one device's */
    struct comm comm;
    struct device *device;
    struct device_comm *device_comm;
    struct supernet *net;
    struct teacher *teacher;
    struct step *step;
    double loss;
    float *weights; /* host, in the end */
};

struct trial {
    struct bench_options options;
    struct space space;
    struct schedule schedule;
    struct campaign campaign;
    const struct phase *phase;
    int resolution;
};

static enum err open_side(const struct trial *trial, const char *device, const char *precision,
                          struct side *side)
{
    enum err err = ERR_OK;
    struct bench_options options = trial->options;
    struct device_cfg cfg;
    float *teacher = NULL;
    options.device = device;
    options.precision = precision;
    TRY(bench_options_device(&options, &cfg));
    TRY(device_open(&cfg, &side->device));
    comm_alone(&side->comm);
    side->device_comm = comm_staged(&side->comm, side->device);
    TRY(supernet_create(&trial->space, side->device, &side->net));
    supernet_init_weights(side->net, 1);
    TRY(memory_array(side->device, side->net->weight_count, sizeof(float), (void **)&teacher));
    side->device->ops->copy(side->device, side->net->weight_count * sizeof(float),
                            side->net->weights, teacher);
    TRY(teacher_create(side->net, &teacher, trial->campaign.batch.micro, trial->resolution,
                       &side->teacher));
    struct step_cfg step = {.comm = &side->comm,
                            .device_comm = side->device_comm,
                            .net = side->net,
                            .campaign = &trial->campaign,
                            .phase = trial->phase,
                            .teacher = trial->phase->has_distillation ? side->teacher : NULL,
                            .trains_matrices = true};
    TRY(step_create(&step, &side->step));
out:
    return err;
}

static void close_side(struct side *side)
{
    step_destroy(&side->step);
    teacher_destroy(&side->teacher);
    supernet_destroy(&side->net);
    device_comm_close(&side->device_comm);
    device_close(&side->device);
    mem_free(side->weights);
}

/* Each class has a colour of its own in front of noise, so that there is something to learn. */
static void draw_images(const struct trial *trial, uint64_t leaf, float *images, int32_t *labels)
{
    size_t pixels = (size_t)trial->resolution * (size_t)trial->resolution * CHANNELS;
    for (int n = 0; n < trial->campaign.batch.micro; n++) {
        uint64_t draw = leaf * 1000 + (uint64_t)n;
        labels[n] = (int32_t)rng_below(rng(2, RNG_TEST, draw, 0, 0), CLASSES);
        for (size_t i = 0; i < pixels; i++) {
            float colour = (float)((labels[n] + 3 * (int)(i % CHANNELS)) % CLASSES) / CLASSES;
            images[(size_t)n * pixels + i] =
                colour + (float)(rng_unit(rng(3, RNG_TEST, draw, 1, i)) - 0.5);
        }
    }
}

static enum err take_leaf(const struct trial *trial, struct side *side, uint64_t step, int leaf)
{
    enum err err = ERR_OK;
    size_t N = (size_t)trial->campaign.batch.micro, side_pixels = (size_t)trial->resolution;
    size_t count = N * side_pixels * side_pixels * CHANNELS;
    float *host = mem_array(count, sizeof *host);
    int32_t *host_labels = mem_array(N, sizeof *host_labels);
    void *images = NULL, *labels = NULL;
    draw_images(trial, step * 100 + (uint64_t)leaf, host, host_labels);
    TRY(memory_map(side->device, host, count, &images));
    TRY(memory_array(side->device, N, sizeof *host_labels, &labels));
    side->device->ops->upload(side->device, labels, host_labels, N * sizeof *host_labels);
    struct prefetched prefetched = {
        .images = images,
        .labels = labels,
        .host = {.N = trial->campaign.batch.micro, .resolution = trial->resolution, .C = CHANNELS}};
    TRY(step_leaf(side->step, step, &prefetched));
    TRY(side->device->ops->sync(side->device)); /* the images go */
out:
    memory_free(side->device, images);
    memory_free(side->device, labels);
    mem_free(host);
    mem_free(host_labels);
    return err;
}

/* *before: the weights that all sides begin with, where it is NULL. */
static enum err take_steps(const struct trial *trial, const char *device, const char *precision,
                           struct side *side, float **before)
{
    enum err err = ERR_OK;
    struct step_result result = {0};
    int leaves = trial->campaign.batch.global / trial->campaign.batch.micro;
    TRY(open_side(trial, device, precision, side));
    size_t bytes = side->net->weight_count * sizeof(float);
    side->weights = mem_alloc(bytes);
    *before = *before ? *before : mem_alloc(bytes);
    TRY(side->device->ops->download(side->device, *before, side->net->weights, bytes));
    for (uint64_t step = 0; step < STEPS; step++) {
        for (int leaf = 0; leaf < leaves; leaf++)
            TRY(take_leaf(trial, side, step, leaf));
        TRY(step_update(side->step, RATE, &result));
    }
    side->loss = result.loss;
    TRY(side->device->ops->download(side->device, side->weights, side->net->weights, bytes));
out:
    return err;
}

static double distance(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}

/* fp32: what sums in another order make of three steps, a value on the other side of a kink
 * included. bf16: they go apart nearly as far as they go, since a value that lies between two bf16
 * goes to either side; but no farther from each other than rounding to bf16 takes them from fp32.
 */
static bool judge(const struct trial *trial, const struct side *cpu, const struct side *other,
                  const struct side *exact, const float *before)
{
    size_t count = cpu->net->weight_count;
    double way = distance(cpu->weights, before, count);
    double apart = distance(cpu->weights, other->weights, count) / way;
    double most = exact->weights ? distance(cpu->weights, exact->weights, count) / way : 0.01;
    double loss = fabs(cpu->loss - other->loss) / fabs(cpu->loss);
    bool is_fine = way > 0 && apart <= most && loss <= (exact->weights ? 0.02 : 0.0001);
    printf("%-10s %s  loss %.6f %.6f  weights apart %.2e of the way, at most %.2e  %s\n",
           trial->phase->name, trial->options.precision, cpu->loss, other->loss, apart, most,
           is_fine ? "ok" : "MORE THAN ROUNDING");
    fflush(stdout);
    return is_fine;
}

static enum err compare(const struct trial *trial, bool *is_fine)
{
    enum err err = ERR_OK;
    struct side cpu = {0}, other = {0}, exact = {0};
    float *before = NULL;
    const char *precision = trial->options.precision;
    /* the other one first: it may not be there */
    TRY(take_steps(trial, trial->options.device, precision, &other, &before));
    TRY(take_steps(trial, "cpu", precision, &cpu, &before));
    if (strcmp(precision, "bf16") == 0)
        TRY(take_steps(trial, "cpu", "fp32", &exact, &before));
    *is_fine = judge(trial, &cpu, &other, &exact, before) && *is_fine;
out:
    close_side(&cpu);
    close_side(&other);
    close_side(&exact);
    mem_free(before);
    return err;
}

static enum err read_command(struct trial *trial, int argc, char **argv)
{
    enum err err = ERR_OK;
    long resolution = 0;
    TRY(bench_options_read(argc, argv, " device precision global micro threads ", &trial->options));
    if (trial->options.word_count != 2 || trial->options.global % trial->options.micro != 0)
        TRY(err_set(ERR_USAGE,
                    "usage: gpu_steps SPACE RESOLUTION [--device cuda] [--precision fp32] "
                    "[--global 32] [--micro 16, which divides it] [--threads 2]"));
    TRY(text_to_int(trial->options.words[1], 1, 4096, &resolution));
    trial->resolution = (int)resolution;
    TRY(space_load(trial->options.words[0], 1.0, CLASSES, CHANNELS, &trial->space));
    trial->space.resolutions[0] = trial->resolution;
    trial->space.resolution_count = 1;
    trial->campaign.seed = 1;
    trial->campaign.distil.ratio = 1;
    trial->campaign.optimiser.momentum = 0.9;
    trial->campaign.batch.global = trial->options.global;
    trial->campaign.batch.micro = trial->options.micro;
    schedule_append("ofa", &trial->space, 1, 1, trial->options.global, &trial->schedule);
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    bool is_fine = true;
    struct trial trial = {.options = {.device = "cuda",
                                      .precision = "fp32",
                                      .isa = "auto",
                                      .global = 32,
                                      .micro = 16,
                                      .threads = 2}};
    TRY(read_command(&trial, argc, argv));
    for (int i = 0; i < trial.schedule.phase_count; i++) {
        trial.phase = &trial.schedule.phases[i];
        TRY(compare(&trial, &is_fine));
    }
out:
    if (err != ERR_OK)
        fprintf(stderr, "gpu_steps: %s\n", err_text());
    return err != ERR_OK ? err_exit_code(err) : !is_fine;
}
