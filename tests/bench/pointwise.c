/* Times the 1x1 convolutions of mbv3's biggest sub-network, forward and backward, as a training
 * step calls them: views with activation and gate, sums, shortcuts. Prints milliseconds, GFLOP/s
 * and the GB/s of the maps that have to move.
 * usage: pointwise [resolution, default 32] [images, default 64] [threads, default 2] [isa] [row,
 * default all] */
#include "base/clock.h"
#include "base/err.h"
#include "kernels/device.h"
#include <stdio.h>
#include <stdlib.h>

enum { PASSES = 15 };

struct layer { /* one row of the network */
    int side;  /* of the map at 128 px */
    int C, K, times;
    bool is_project; /* from a depthwise map, else from a residual sum */
    enum act act;    /* of the wide map */
    bool has_gate;
};

static const struct layer layers[] = {
    {64, 16, 16, 1, true, ACT_RELU, false},    {64, 16, 96, 1, false, ACT_RELU, false},
    {32, 96, 24, 1, true, ACT_RELU, false},    {32, 24, 144, 4, false, ACT_RELU, false},
    {32, 144, 24, 3, true, ACT_RELU, false},   {16, 144, 40, 1, true, ACT_RELU, true},
    {16, 40, 240, 4, false, ACT_RELU, true},   {16, 240, 40, 3, true, ACT_RELU, true},
    {8, 240, 80, 1, true, ACT_HSWISH, false},  {8, 80, 480, 4, false, ACT_HSWISH, false},
    {8, 480, 80, 3, true, ACT_HSWISH, false},  {8, 480, 112, 1, true, ACT_HSWISH, true},
    {8, 112, 672, 4, false, ACT_HSWISH, true}, {8, 672, 112, 3, true, ACT_HSWISH, true},
    {4, 672, 160, 1, true, ACT_HSWISH, true},  {4, 160, 960, 4, false, ACT_HSWISH, true},
    {4, 960, 160, 3, true, ACT_HSWISH, true}};

struct maps { /* device memory of one layer */
    float *x, *z, *q_in, *q_out, *add, *w, *dw;
    float *channel[2][5]; /* scale, shift, a, b, c of x and of z */
    float *gate, *p;
    double *sums, *gate_sums;
};

static void *memory(struct device *device, size_t count, float value)
{
    void *block = NULL;
    if (device->ops->alloc(device, count * sizeof(float), &block) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        exit(1);
    }
    for (size_t i = 0; i < count; i++)
        ((float *)block)[i] = value + (float)(i % 13) * 0.01f;
    return block;
}

static void make_maps(struct device *device, const struct conv *conv, struct maps *maps)
{
    size_t N = (size_t)conv->in.N, C = (size_t)conv->in.C, K = (size_t)conv->K;
    size_t rows = N * (size_t)(conv->in.H * conv->in.W), widest = C > K ? C : K;
    maps->x = memory(device, rows * C, 0.1f);
    maps->z = memory(device, rows * K, 0.1f);
    maps->q_in = memory(device, rows * K, 0.1f);
    maps->q_out = memory(device, rows * C, 0.1f);
    maps->add = memory(device, rows * C, 0.1f);
    maps->w = memory(device, K * C, 0.01f);
    maps->dw = memory(device, K * C, 0);
    for (int i = 0; i < 10; i++)
        maps->channel[i / 5][i % 5] = memory(device, widest, 0.5f);
    maps->gate = memory(device, N * widest, 0.5f);
    maps->p = memory(device, N * widest, 0.01f);
    maps->sums = memory(device, 4 * widest, 0);
    maps->gate_sums = memory(device, 6 * N * widest, 0);
}

static void free_maps(struct device *device, struct maps *maps)
{
    float *all[] = {maps->x,
                    maps->z,
                    maps->q_in,
                    maps->q_out,
                    maps->add,
                    maps->w,
                    maps->dw,
                    maps->gate,
                    maps->p,
                    (float *)maps->sums,
                    (float *)maps->gate_sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        device->ops->free(device, all[i]);
    for (int i = 0; i < 10; i++)
        device->ops->free(device, maps->channel[i / 5][i % 5]);
}

static struct view view_of(const struct layer *layer, struct maps *maps)
{
    struct view view = {.z = maps->x};
    if (layer->is_project) {
        view.scale = maps->channel[0][0];
        view.shift = maps->channel[0][1];
        view.act = layer->act;
        view.gate = layer->has_gate ? maps->gate : NULL;
    }
    return view;
}

static void forward(struct device *device, const struct layer *layer, const struct conv *conv,
                    struct maps *maps)
{
    device->ops->pw_forward(device, conv, view_of(layer, maps), maps->w, maps->z,
                            &(struct norm_forward){.sums = maps->sums});
}

static void backward(struct device *device, const struct layer *layer, const struct conv *conv,
                     struct maps *maps)
{
    struct grad dz = {.q = maps->q_in, .a = maps->channel[1][2], .b = maps->channel[1][3]};
    struct grad_sink sink = {.q = maps->q_out, .of = view_of(layer, maps)};
    dz.c = maps->channel[1][4];
    dz.of = (struct view){maps->z, maps->channel[1][0], maps->channel[1][1], NULL, ACT_NONE};
    sink.mean = maps->channel[0][2];
    if (layer->is_project && layer->has_gate) {
        sink.gate_sums = maps->gate_sums;
    } else {
        sink.sums = maps->sums;
    }
    if (!layer->is_project) {
        dz.of.act = layer->act;
        sink.add = maps->add;
        sink.of =
            (struct view){maps->add, maps->channel[0][0], maps->channel[0][1], NULL, ACT_NONE};
    }
    device->ops->pw_backward(device, conv, &dz, view_of(layer, maps), maps->w, &sink, maps->dw);
}

/* Milliseconds of the fastest pass: what else the machine did is not asked here. */
static double measure(struct device *device, const struct layer *layer, const struct conv *conv,
                      struct maps *maps,
                      void (*pass)(struct device *, const struct layer *, const struct conv *,
                                   struct maps *))
{
    double best = 0;
    pass(device, layer, conv, maps);
    for (int i = 0; i < PASSES; i++) {
        double start = clock_seconds();
        pass(device, layer, conv, maps);
        double seconds = clock_seconds() - start;
        best = i == 0 || seconds < best ? seconds : best;
    }
    return best * 1e3;
}

static void print_layer(struct device *device, const struct layer *layer, int resolution, int N,
                        double total[2])
{
    int side = layer->side * resolution / 128;
    side = side ? side : 1;
    struct conv conv = {
        .in = {N, side, side, layer->C}, .K = layer->K, .R = 1, .S = 1, .ld = layer->C};
    struct maps maps;
    make_maps(device, &conv, &maps);
    double rows = (double)N * side * side, C = layer->C, K = layer->K;
    double ms[2] = {measure(device, layer, &conv, &maps, forward),
                    measure(device, layer, &conv, &maps, backward)};
    double gflop = 2e-9 * rows * C * K, bytes = 4e-9 * rows;
    /* backward reads q and z of the output, x, and of a residual its shortcut and branch */
    double backward_maps = 2 * K + (layer->is_project ? 2 : 4) * C;
    printf("%4d -> %4d at %2d x %2d x%d  forward %7.3f ms %5.0f GFLOP/s %5.1f GB/s  backward %7.3f "
           "ms %5.0f GFLOP/s %5.1f GB/s\n",
           layer->C, layer->K, side, side, layer->times, ms[0], gflop / ms[0] * 1e3,
           bytes * (C + K) / ms[0] * 1e3, ms[1], 2 * gflop / ms[1] * 1e3,
           bytes * backward_maps / ms[1] * 1e3);
    total[0] += ms[0] * layer->times;
    total[1] += ms[1] * layer->times;
    free_maps(device, &maps);
}

int main(int argc, char **argv)
{
    struct device *device = NULL;
    double total[2] = {0, 0};
    int resolution = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 32,
        N = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 64;
    struct device_cfg cfg = {"cpu", argc > 3 ? (int)strtol(argv[3], NULL, 10) : 2, ISA_AUTO,
                             PRECISION_FP32};
    if ((argc > 4 && isa_parse(argv[4], &cfg.isa) != ERR_OK) ||
        device_open(&cfg, &device) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d px, %d images, %d threads, %s\n", resolution, N, cfg.threads, device->lineage);
    for (int i = 0; i < (int)(sizeof layers / sizeof *layers); i++)
        if (argc <= 5 || i == (int)strtol(argv[5], NULL, 10))
            print_layer(device, &layers[i], resolution, N, total);
    printf("one step: forward %.2f ms, backward %.2f ms\n", total[0], total[1]);
    device_close(&device);
    return 0;
}
