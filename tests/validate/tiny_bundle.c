#include "tests/validate/tiny_bundle.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include "trainer/export/onnx_run.h"
#include <stdio.h>
#include <string.h>

static char *class_names[TINY_CLASSES] = {"<torn>", "bent", "good"};

static void must(enum err err)
{
    if (err != ERR_OK)
        BUG("%s", err_text());
}

/* Outputs are filled up as fold_subnet() does it; those of classes are spread, so that most answers
 * are clear. The stem has weights to spare where images are grey. */
static void adapt(struct folded *folded, int channels)
{
    struct folded_layer *logits = &folded->layers[TINY_LOGITS];
    float *w = arena_alloc(folded->arena, (size_t)(TINY_BUNDLE_OUTPUTS * logits->C) * sizeof *w),
          *b = arena_alloc(folded->arena, TINY_BUNDLE_OUTPUTS * sizeof *b);
    folded->channels = folded->layers[TINY_STEM].C = channels;
    folded->is_bgr = channels == 3;
    for (int i = 0; i < TINY_CLASSES * logits->C; i++)
        w[i] = 40 * logits->w[i];
    memcpy(b, logits->b, TINY_CLASSES * sizeof *b);
    for (int k = TINY_CLASSES; k < TINY_BUNDLE_OUTPUTS; k++)
        b[k] = FOLD_UNUSED_BIAS;
    logits->w = w, logits->b = b, logits->K = folded->outputs = TINY_BUNDLE_OUTPUTS;
}

/* Smooth enough that a mosaic leaves most of it. */
static void draw(struct image *image, int channels, uint64_t which)
{
    image_reserve(image, (size_t)(TINY_SIDE * TINY_SIDE * channels));
    image->H = image->W = TINY_SIDE, image->C = channels;
    for (int i = 0; i < TINY_SIDE * TINY_SIDE * channels; i++) {
        int c = i % channels, x = i / channels % TINY_SIDE, y = i / channels / TINY_SIDE;
        uint64_t light = rng_below(rng(3, RNG_TEST, 0, which, (uint64_t)c), 100);
        uint64_t slope = rng_below(rng(3, RNG_TEST, 1, which, (uint64_t)c), 20);
        int at = which % 2 ? x : TINY_SIDE - 1 - y;
        image->pixels[i] = (uint8_t)(light + slope * (uint64_t)at);
    }
}

/* expected: (BUNDLE_EXPECTED, TINY_BUNDLE_OUTPUTS), all as in fp32. */
static void answer(const struct folded *folded, const struct dataset_info *dataset,
                   struct bundle_sample *sample, float *logits, float *expected)
{
    struct bytes onnx = {0};
    struct onnx_net *net = NULL;
    float values[TINY_SIDE * TINY_SIDE * 3], answers[TINY_BUNDLE_OUTPUTS];
    must(onnx_write(folded, "tiny", &onnx));
    must(onnx_open(onnx.data, onnx.size, &net));
    bundle_normalise(dataset, &sample->image, folded->is_bgr, values);
    must(onnx_run(net, values, answers, expected));
    memcpy(expected + TINY_BUNDLE_OUTPUTS, expected, TINY_BUNDLE_OUTPUTS * sizeof *expected);
    memcpy(logits, answers, TINY_CLASSES * sizeof *logits);
    sample->logits = logits;
    sample->expected = expected;
    for (int k = 1; k < TINY_CLASSES; k++)
        if (logits[k] > logits[sample->image.label])
            sample->image.label = k;
    onnx_close(&net);
    mem_free(onnx.data);
}

void tiny_bundle_write(const char *folder, const char *device)
{
    struct folded folded;
    struct bundle_sample samples[TINY_BUNDLE_SAMPLES];
    float logits[TINY_BUNDLE_SAMPLES * TINY_CLASSES];
    float expected[TINY_BUNDLE_SAMPLES * BUNDLE_EXPECTED * TINY_BUNDLE_OUTPUTS];
    struct camera_device camera = {.sensor_width = 1440, .sensor_height = 1080};
    int channels = strstr(device, "colour") ? 3 : 1;
    struct dataset_info dataset = {.classes = TINY_CLASSES,
                                   .class_names = class_names,
                                   .channels = channels,
                                   .mean = {72.5, 80, 91},
                                   .deviation = {90, 85, 70}};
    memset(samples, 0, sizeof samples);
    snprintf(camera.name, sizeof camera.name, "%s", device);
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    adapt(&folded, channels);
    for (int s = 0; s < TINY_BUNDLE_SAMPLES; s++) {
        draw(&samples[s].image, channels, (uint64_t)s);
        answer(&folded, &dataset, &samples[s], logits + s * TINY_CLASSES,
               expected + s * BUNDLE_EXPECTED * TINY_BUNDLE_OUTPUTS);
    }
    must(bundle_write(&(struct bundle_cfg){.folder = folder,
                                           .target = "tiny",
                                           .device = &camera,
                                           .folded = &folded,
                                           .subnet = "k=3",
                                           .dataset = &dataset,
                                           .formats = {true, true, true},
                                           .samples = samples,
                                           .sample_count = TINY_BUNDLE_SAMPLES,
                                           .sample_split = SPLIT_HOLDOUT,
                                           .checkpoint = ""}));
    for (int s = 0; s < TINY_BUNDLE_SAMPLES; s++)
        mem_free(samples[s].image.pixels);
    folded_fini(&folded);
}
