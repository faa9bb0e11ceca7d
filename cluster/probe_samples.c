#include "cluster/probe_samples.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/data/image_file.h"
#include "trainer/emulator/expected.h"
#include "trainer/export/onnx_run.h"
#include "trainer/export/writers.h"

enum { SEED = 1, PATCH = 4 };

/* Patches of a few pixels, so that a camera's interpolation leaves something of them. */
static void draw_picture(const struct folded *folded, uint64_t which, struct image *image)
{
    int side = folded->side, C = folded->channels;
    image_reserve(image, (size_t)side * (size_t)side * (size_t)C);
    image->H = image->W = side, image->C = C;
    for (int i = 0; i < side * side * C; i++) {
        int y = i / C / side / PATCH, x = i / C % side / PATCH;
        uint64_t bits =
            rng(SEED, RNG_PROBE, 1 + which, (uint64_t)(y * side + x), (uint64_t)(i % C));
        image->pixels[i] = (uint8_t)rng_below(bits, 256);
    }
}

int probe_samples_best(const float *values, int count)
{
    int best = 0;
    for (int k = 1; k < count; k++)
        best = values[k] > values[best] ? k : best;
    return best;
}

static enum err answer_pictures(const struct folded *folded, const struct dataset_info *dataset,
                                struct probe_samples *samples)
{
    enum err err = ERR_OK;
    struct bytes onnx = {0};
    struct onnx_net *net = NULL;
    size_t values = (size_t)folded->side * (size_t)folded->side * (size_t)folded->channels;
    float *image = mem_array(values, sizeof *image);
    float *probabilities = mem_array((size_t)folded->outputs, sizeof *probabilities);
    samples->logits = mem_array(PROBE_SAMPLES * (size_t)folded->outputs, sizeof *samples->logits);
    TRY(onnx_write(folded, "probe", &onnx));
    TRY(onnx_open(onnx.data, onnx.size, &net));
    for (int i = 0; i < PROBE_SAMPLES; i++) {
        struct bundle_sample *sample = &samples->list[i];
        draw_picture(folded, (uint64_t)i, &sample->image);
        bundle_normalise(dataset, &sample->image, folded->is_bgr, image);
        float *logits = samples->logits + i * folded->outputs;
        TRY(onnx_run(net, image, logits, probabilities));
        sample->image.label = probe_samples_best(logits, folded->classes);
        sample->record = (uint32_t)i;
        sample->logits = logits;
    }
out:
    onnx_close(&net);
    mem_free(onnx.data);
    mem_free(probabilities);
    mem_free(image);
    return err;
}

static enum err expect_answers(const struct folded *folded, const struct dataset_info *dataset,
                               struct probe_samples *samples)
{
    enum err err = ERR_OK;
    struct expected *expected = NULL;
    size_t each = (size_t)(BUNDLE_EXPECTED * folded->outputs);
    samples->expected = mem_array(PROBE_SAMPLES * each, sizeof *samples->expected);
    TRY(expected_open(folded, dataset, &expected));
    for (int i = 0; i < PROBE_SAMPLES; i++) {
        float *outputs = samples->expected + (size_t)i * each;
        TRY(expected_answer(expected, &samples->list[i].image, outputs));
        samples->list[i].expected = outputs;
    }
out:
    expected_close(&expected);
    return err;
}

void probe_samples_destroy(struct probe_samples **samples)
{
    if (!*samples)
        return;
    for (int i = 0; i < PROBE_SAMPLES; i++)
        mem_free((*samples)->list[i].image.pixels);
    mem_free((*samples)->logits);
    mem_free((*samples)->expected);
    mem_free(*samples);
    *samples = NULL;
}

enum err probe_samples_make(const struct folded *folded, const struct dataset_info *dataset,
                            bool is_expected, struct probe_samples **samples)
{
    enum err err = ERR_OK;
    *samples = mem_alloc(sizeof **samples);
    TRY(answer_pictures(folded, dataset, *samples));
    if (is_expected)
        TRY(expect_answers(folded, dataset, *samples));
out:
    return err;
}
