/* Times the depthwise operations as a training step uses them: forward with the batch norm and
 * activation of its input and the sums of its output; backward with the gradient formed while
 * loading, the input's activation, both gradients and the sums for the batch norm before. GFLOP/s
 * count the taps that lie in the map, nothing else; "peak" is what one thread's multiply-adds reach
 * in registers, times the threads.
 * usage: depthwise [threads [x86-64-v2|v3|v4 [set [row]]]], row: only that one of the set; set:
 * mbv3-32, mbv3-128 (the biggest sub-network, 64 images), layers (reference shapes, 16 images, 64
 * of small maps) or a number of pixels */
#include "base/clock.h"
#include "kernels/device.h"
#include <immintrin.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer {
    int count; /* in the network */
    struct conv conv;
    enum act act;
    bool is_gated; /* squeeze-excite behind it */
};

static float *filled(size_t count, float low, float high)
{
    float *values = aligned_alloc(64, (count * sizeof *values + 63) / 64 * 64);
    if (!values)
        abort();
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = low + (high - low) * (float)(state >> 8) / 16777216.0f;
    }
    return values;
}

static size_t elements(struct dims map)
{
    return (size_t)map.N * (size_t)map.H * (size_t)map.W * (size_t)map.C;
}

/* Multiply-adds of one thread in registers, GFLOP/s. */
__attribute__((target("avx2,fma"))) static double peak_rate(void)
{
    enum { SUMS = 12 };
    double best = 0;
    for (int pass = 0; pass < 5; pass++) {
        const int rounds = 2000000;
        __m256 sum[SUMS], x = _mm256_set1_ps(0.5f);
        for (int i = 0; i < SUMS; i++)
            sum[i] = _mm256_set1_ps((float)i);
        double start = clock_seconds();
        for (int round = 0; round < rounds; round++) {
#pragma GCC unroll 16
            for (int i = 0; i < SUMS; i++)
                sum[i] = _mm256_fmadd_ps(sum[i], x, x);
            __asm__ volatile("" : "+x"(x));
        }
        double seconds = clock_seconds() - start;
        float total[8];
        for (int i = 1; i < SUMS; i++)
            sum[0] = _mm256_add_ps(sum[0], sum[i]);
        _mm256_storeu_ps(total, sum[0]);
        double rate = 16.0 * SUMS * rounds / seconds / 1e9;
        best = rate > best && total[0] > 0 ? rate : best;
    }
    return best;
}

/* Pairs (output, tap) along one axis that lie in the map. */
static double taps_inside(int in, int out, int R, int S)
{
    double inside = 0;
    for (int o = 0; o < out; o++)
        for (int k = 0; k < R; k++) {
            int i = o * S + k - R / 2;
            inside += i >= 0 && i < in;
        }
    return inside;
}

struct tensors {
    float *x, *z, *q, *dx, *w, *dw, *vectors, *rows;
    double *sums;
};

static struct tensors make_tensors(const struct conv *conv)
{
    size_t in = elements(conv->in), out = elements(conv_out(conv)), C = (size_t)conv->K;
    return (struct tensors){.x = filled(in, -1, 1),
                            .z = filled(out, -1, 1),
                            .q = filled(out, -1, 1),
                            .dx = filled(in, -1, 1),
                            .w = filled((size_t)(conv->R * conv->R) * C, -1, 1),
                            .dw = filled((size_t)(conv->R * conv->R) * C, 0, 0),
                            .vectors = filled(8 * C, 0.1f, 1),
                            .rows = filled((size_t)conv->in.N * C, 0, 1),
                            .sums = calloc(2 * C, sizeof(double))};
}

static void free_tensors(struct tensors *t)
{
    free(t->x);
    free(t->z);
    free(t->q);
    free(t->dx);
    free(t->w);
    free(t->dw);
    free(t->vectors);
    free(t->rows);
    free(t->sums);
}

static void run(struct device *device, const struct layer *layer, struct tensors *t, bool backward)
{
    const struct conv *conv = &layer->conv;
    size_t C = (size_t)conv->K;
    float *v = t->vectors;
    struct view x = {.z = t->x, .scale = v, .shift = v + C, .act = layer->act};
    if (!backward) {
        device->ops->dw_forward(device, conv, x, t->w, t->z,
                                &(struct norm_forward){.sums = t->sums});
        return;
    }
    struct grad dz = {.q = t->q,
                      .of = {.z = t->z, .scale = v, .shift = v + C, .act = layer->act},
                      .a = v + 2 * C,
                      .b = v + 3 * C,
                      .c = v + 4 * C};
    if (layer->is_gated) {
        dz.of.gate = t->rows;
        dz.p = t->rows;
    }
    struct grad_sink sink = {.q = t->dx, .of = x, .mean = v + 5 * C, .sums = t->sums};
    device->ops->dw_backward(device, conv, &dz, x, t->w, &sink, t->dw);
}

/* The fastest pass, seconds: what the machine does when nobody else is on it. */
static double time_of(struct device *device, const struct layer *layer, struct tensors *t,
                      bool backward)
{
    double fastest = 1e9, total = 0;
    run(device, layer, t, backward);
    for (int pass = 0; pass < 10 || (total < 0.15 && pass < 200); pass++) {
        double start = clock_seconds();
        run(device, layer, t, backward);
        double seconds = clock_seconds() - start;
        total += seconds;
        fastest = seconds < fastest ? seconds : fastest;
    }
    return fastest;
}

static void show(struct device *device, const struct layer *layer, double peak, double totals[3])
{
    const struct conv *conv = &layer->conv;
    struct dims in = conv->in, out = conv_out(conv);
    struct tensors t = make_tensors(conv);
    double gflop = 2e-9 * in.N * in.C * taps_inside(in.H, out.H, conv->R, conv->S) *
                   taps_inside(in.W, out.W, conv->R, conv->S);
    double forward = time_of(device, layer, &t, false), backward = time_of(device, layer, &t, true);
    double in_gb = 4e-9 * (double)elements(in), out_gb = 4e-9 * (double)elements(out);
    printf("%3dx dw%d%s %4d@%-3d N %-3d | %8.3f ms %6.1f GF/s %3.0f %% %6.1f GB/s |"
           " %8.3f ms %6.1f GF/s %3.0f %% %6.1f GB/s\n",
           layer->count, conv->R, conv->S == 2 ? "s2" : "  ", in.C, in.W, in.N, 1e3 * forward,
           gflop / forward, 100 * gflop / forward / peak, (in_gb + out_gb) / forward,
           1e3 * backward, 2 * gflop / backward, 200 * gflop / backward / peak,
           2 * (in_gb + out_gb) / backward);
    fflush(stdout);
    totals[0] += layer->count * forward;
    totals[1] += layer->count * backward;
    totals[2] += layer->count * 3 * gflop;
    free_tensors(&t);
}

#define LAYER(count, N, H, C, R, S, act, gated)                                                    \
    {                                                                                              \
        count, {{N, H, H, C}, C, R, S, C, PAD_SYMMETRIC}, act, gated                               \
    }

/* mbv3, expansion 6, kernel 7, depth 4; the side is for an image of 32 pixels. */
static const struct layer mbv3[] = {
    LAYER(1, 64, 16, 16, 3, 1, ACT_RELU, false),   LAYER(1, 64, 16, 96, 7, 2, ACT_RELU, false),
    LAYER(3, 64, 8, 144, 7, 1, ACT_RELU, false),   LAYER(1, 64, 8, 144, 7, 2, ACT_RELU, true),
    LAYER(3, 64, 4, 240, 7, 1, ACT_RELU, true),    LAYER(1, 64, 4, 240, 7, 2, ACT_HSWISH, false),
    LAYER(3, 64, 2, 480, 7, 1, ACT_HSWISH, false), LAYER(1, 64, 2, 480, 7, 1, ACT_HSWISH, true),
    LAYER(3, 64, 2, 672, 7, 1, ACT_HSWISH, true),  LAYER(1, 64, 2, 672, 7, 2, ACT_HSWISH, true),
    LAYER(3, 64, 1, 960, 7, 1, ACT_HSWISH, true),
};

static const struct layer reference_layers[] = {
    LAYER(1, 16, 112, 16, 3, 1, ACT_RELU, false), LAYER(1, 16, 56, 144, 3, 1, ACT_RELU, false),
    LAYER(1, 16, 56, 144, 5, 1, ACT_RELU, false), LAYER(1, 16, 56, 144, 7, 1, ACT_RELU, false),
    LAYER(1, 16, 112, 96, 7, 2, ACT_RELU, false), LAYER(1, 16, 28, 240, 7, 1, ACT_RELU, false),
    LAYER(1, 16, 14, 480, 3, 1, ACT_RELU, false), LAYER(1, 16, 14, 480, 5, 1, ACT_RELU, false),
    LAYER(1, 16, 14, 480, 7, 1, ACT_RELU, false), LAYER(1, 16, 14, 672, 7, 1, ACT_RELU, false),
    LAYER(1, 16, 14, 672, 7, 2, ACT_RELU, false), LAYER(1, 16, 7, 960, 3, 1, ACT_RELU, false),
    LAYER(1, 16, 7, 960, 5, 1, ACT_RELU, false),  LAYER(1, 16, 7, 960, 7, 1, ACT_RELU, false),
    LAYER(1, 64, 8, 144, 7, 1, ACT_RELU, false),  LAYER(1, 64, 4, 240, 7, 1, ACT_RELU, false),
    LAYER(1, 64, 2, 480, 7, 1, ACT_RELU, false),  LAYER(1, 64, 1, 960, 7, 1, ACT_RELU, false),
    LAYER(1, 64, 4, 672, 7, 1, ACT_RELU, false),
};

static void show_network(struct device *device, int pixels, double peak, long row)
{
    double totals[3] = {0};
    for (size_t i = 0; i < sizeof mbv3 / sizeof *mbv3; i++) {
        struct layer layer = mbv3[i];
        layer.conv.in.H = layer.conv.in.W = (layer.conv.in.H * pixels + 31) / 32;
        if (row < 0 || row == (long)i)
            show(device, &layer, peak, totals);
    }
    printf("a step: forward %.2f ms, backward %.2f ms, %.0f GF/s, %.0f %% of peak\n",
           1e3 * totals[0], 1e3 * totals[1], totals[2] / (totals[0] + totals[1]),
           100 * totals[2] / (totals[0] + totals[1]) / peak);
}

int main(int argc, char **argv)
{
    struct device *device = NULL;
    struct device_cfg cfg = {"cpu", argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2, ISA_AUTO,
                             PRECISION_FP32};
    const char *set = argc > 3 ? argv[3] : "layers";
    long row = argc > 4 ? strtol(argv[4], NULL, 10) : -1;
    if ((argc > 2 && isa_parse(argv[2], &cfg.isa) != ERR_OK) ||
        device_open(&cfg, &device) != ERR_OK) {
        fprintf(stderr, "%s\n", err_text());
        return 1;
    }
    double peak = peak_rate() * cfg.threads, totals[3] = {0};
    printf("%s, %d threads, peak %.0f GF/s\n", device->lineage, cfg.threads, peak);
    printf("                            | forward                                    | backward\n");
    if (strcmp(set, "layers") == 0) {
        for (long i = 0; i < (long)(sizeof reference_layers / sizeof *reference_layers); i++)
            if (row < 0 || row == i)
                show(device, &reference_layers[i], peak, totals);
    } else {
        const char *pixels = strncmp(set, "mbv3-", 5) == 0 ? set + 5 : set;
        show_network(device, (int)strtol(pixels, NULL, 10), peak, row);
    }
    device_close(&device);
    return 0;
}
