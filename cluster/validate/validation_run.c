#include "cluster/validate/validation_run.h"
#include "base/mem.h"
#include "cluster/check/check_run.h"
#include "cluster/check/check_text.h"
#include "cluster/validate/network_choice.h"
#include "trainer/export/bundle.h"
#include "trainer/export/raw_frame.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of all outputs, as the camera takes the best; *margin: over the second. */
static int best_of(const float *probabilities, int outputs, double *confidence, double *margin)
{
    int best = 0;
    double second = 0;
    for (int k = 1; k < outputs; k++)
        best = probabilities[k] > probabilities[best] ? k : best;
    for (int k = 0; k < outputs; k++)
        if (k != best)
            second = fmax(second, (double)probabilities[k]);
    *confidence = (double)probabilities[best];
    *margin = *confidence - second;
    return best;
}

struct both { /* arithmetics */
    struct emulator *of[2];
    struct emulation emulation;
    struct image image, seen;
    uint8_t *raw;
    float *values;
};

static void both_fini(struct both *both)
{
    emulator_destroy(&both->of[0]);
    emulator_destroy(&both->of[1]);
    emulation_fini(&both->emulation);
    mem_free(both->image.pixels);
    mem_free(both->seen.pixels);
    mem_free(both->raw);
    mem_free(both->values);
}

/* Of a colour image what is left behind mosaic and interpolation. */
static enum err see_image(const struct validation *validation, struct both *both, int index)
{
    enum err err = ERR_OK;
    struct image *image = &both->image;
    TRY(check_images_read(&validation->check.images, index, image));
    raw_frame_write(image, both->raw);
    both->seen.H = image->H, both->seen.W = image->W, both->seen.C = image->C;
    TRY(raw_frame_read(both->raw, raw_frame_bytes(image->H, image->W), &both->seen));
out:
    return err;
}

static enum err expect_image(struct validation *validation, struct both *both, int index)
{
    enum err err = ERR_OK;
    struct bundle_check *check = &validation->check;
    struct validated_image *expected = &validation->images[index];
    int outputs = check->bundle.shape.classes, last = check->checked->net.count - 1;
    double confidence = 0, margin = 0;
    TRY(see_image(validation, both, index));
    bundle_normalise(&check->bundle.dataset, &both->seen, check->bundle.is_bgr, both->values);
    expected->label = both->image.label;
    emulator_run(both->of[0], both->values, &both->emulation);
    expected->fp32_class =
        best_of(both->emulation.maps[last], outputs, &confidence, &expected->fp32_margin);
    emulator_run(both->of[1], both->values, &both->emulation);
    expected->expected_class =
        best_of(both->emulation.maps[last], outputs, &expected->expected_confidence, &margin);
out:
    return err;
}

/* What the camera should answer: its arithmetic as far as it is known, sums in fp32. */
static enum err expect_images(struct validation *validation)
{
    enum err err = ERR_OK;
    const struct bundle_check *check = &validation->check;
    const struct onnx_shape *shape = &check->bundle.shape;
    struct both both = {0};
    both.of[0] = emulator_create(&check->checked->net, ARITHMETIC_FP32);
    both.of[1] = emulator_create(&check->checked->net, ARITHMETIC_FP16_SUM32);
    both.raw = mem_alloc(raw_frame_bytes(shape->height, shape->width));
    both.values = mem_array((size_t)shape->height * (size_t)shape->width,
                            (size_t)shape->channels * sizeof *both.values);
    TRY(emulation_init(&check->checked->net, &both.emulation));
    validation->images = mem_array((size_t)check->images.count, sizeof *validation->images);
    for (int i = 0; i < check->images.count; i++)
        TRY(expect_image(validation, &both, i));
out:
    both_fini(&both);
    return err;
}

static void describe_network(struct validation *validation)
{
    const struct opened_bundle *bundle = &validation->check.bundle;
    const struct onnx_shape *shape = &bundle->shape;
    enum pixel_format format = shape->channels == 1 ? PIXEL_MONO8
                               : bundle->is_bgr     ? PIXEL_BGR8
                                                    : PIXEL_RGB8;
    validation->network = (struct firefly_network){.bytes = validation->file.bytes,
                                                   .size_bytes = validation->file.size,
                                                   .width = shape->width,
                                                   .height = shape->height,
                                                   .channels = shape->channels,
                                                   .outputs = shape->classes,
                                                   .pixel_format = pixel_format_name(format)};
    for (int c = 0; c < shape->channels; c++) {
        int of = bundle->is_bgr ? shape->channels - 1 - c : c;
        validation->network.mean[c] = bundle->dataset.mean[of];
        validation->network.scale[c] = bundle->dataset.deviation[of];
    }
}

/* The target's, as the bundle was compiled for it; 0: none. */
static double budget_of(const json_t *list)
{
    double ms = json_number_value(json_object_get(list, "budget_ms"));
    return ms > 0 && ms < 1e6 ? ms : 0;
}

enum err validation_prepare(const struct validation_cfg *cfg, struct validation *validation)
{
    enum err err = ERR_OK;
    struct bundle_check_cfg check = {
        .bundle = cfg->bundle, .run = cfg->run, .images = cfg->images, .threads = 1};
    memset(validation, 0, sizeof *validation);
    validation->cfg = *cfg;
    TRY(bundle_check_open(&check, &validation->check));
    if (cfg->budget_ms <= 0)
        validation->cfg.budget_ms = budget_of(validation->check.list);
    TRY(network_choose(validation));
    describe_network(validation);
    TRY(expect_images(validation));
out:
    return err;
}

struct giver { /* of images to the measurement */
    const struct validation *validation;
    struct image image;
    uint8_t *raw;
};

static enum err give_image(int index, const void **bytes, size_t *size, void *own)
{
    enum err err = ERR_OK;
    struct giver *giver = own;
    const struct check_images *images = &giver->validation->check.images;
    TRY(check_images_read(images, index, &giver->image));
    raw_frame_write(&giver->image, giver->raw);
    *bytes = giver->raw;
    *size = raw_frame_bytes(giver->image.H, giver->image.W);
out:
    return err;
}

static void tell_upload(size_t done, size_t all, void *own)
{
    const struct validation *validation = own;
    if (validation->cfg.progress)
        validation->cfg.progress("uploading bytes", done, all);
}

static void tell_image(int done, int all, void *own)
{
    const struct giver *giver = own;
    if (giver->validation->cfg.progress)
        giver->validation->cfg.progress("measuring images", (size_t)done, (size_t)all);
}

/* Twenty times the prediction, but no less than any camera may take to begin. */
static double frame_seconds(const struct validation *validation)
{
    double predicted = check_total_ms(&validation->check);
    bool is_known = camera_device_has_latency(&validation->check.device);
    return validation->cfg.frame_seconds > 0 ? validation->cfg.frame_seconds
           : is_known                        ? fmax(2, 20 * predicted / 1000)
                                             : 10;
}

static enum err measure(struct validation *validation, struct deployment *deployment)
{
    const struct onnx_shape *shape = &validation->check.bundle.shape;
    struct giver giver = {.validation = validation};
    giver.raw = mem_alloc(raw_frame_bytes(shape->height, shape->width));
    struct measure_cfg cfg = {.firefly = &deployment->firefly,
                              .found = deployment->found,
                              .images = validation->check.images.count,
                              .outputs = shape->classes,
                              .frame_seconds = frame_seconds(validation),
                              .image = give_image,
                              .progress = tell_image,
                              .own = &giver,
                              .stop = validation->cfg.stop};
    enum err err = measure_run(&cfg, &validation->measured);
    mem_free(giver.image.pixels);
    mem_free(giver.raw);
    return err;
}

/* Of an image's frames the one that is furthest from what is expected counts. */
static void take_found(const struct measured_image *found, struct validated_image *image)
{
    double less = image->expected_confidence - found->least_confidence,
           more = found->most_confidence - image->expected_confidence;
    image->found_class = (int)found->result;
    image->found_confidence = more > less ? found->most_confidence : found->least_confidence;
    image->is_steady = found->is_steady;
    image->is_torn = !found->has_one_class;
}

static void judge(struct validation *validation)
{
    double predicted = check_total_ms(&validation->check);
    for (int i = 0; i < validation->check.images.count; i++) {
        const struct measured_image *found = &validation->measured.images[i];
        take_found(found, &validation->images[i]);
    }
    pass_figures_of(validation->images, validation->check.images.count,
                    validation->measured.latencies_ms, validation->measured.latency_count,
                    &validation->figures);
    validation->figures.frames = validation->measured.frames;
    validation->figures.left_out =
        validation->measured.lost + validation->measured.strays + validation->measured.garbled;
    validation->figures.budget_ms = validation->cfg.budget_ms;
    validation->figures.fixed_ms = validation->check.device.latency_fixed_ms;
    validation->figures.predicted_ms =
        camera_device_has_latency(&validation->check.device) ? predicted : 0;
    pass_rule_judge(&validation->figures, &validation->verdict);
    if (validation->check.images.why_not)
        snprintf(validation->verdict.warning[validation->verdict.warnings++], PASS_SENTENCE,
                 "validated on the bundle's own samples, for the images of its run cannot be read: "
                 "%s",
                 validation->check.images.why_not);
}

enum err validation_measure(struct validation *validation, struct camera *camera)
{
    enum err err = ERR_OK;
    const struct validation_cfg *cfg = &validation->cfg;
    struct deployment deployment = {0};
    struct deployment_cfg deploy = {.camera = camera,
                                    .id = cfg->id,
                                    .folder = cfg->state,
                                    .network = &validation->network,
                                    .memory = cfg->memory,
                                    .existing = cfg->existing,
                                    .stop = cfg->stop,
                                    .progress = tell_upload,
                                    .own = validation};
    enum network_end end = NETWORK_AS_FOUND;
    TRY(deployment_begin(&deploy, &deployment));
    validation->camera = deployment.firefly.identity;
    TRY(measure(validation, &deployment));
    judge(validation);
    validation->is_judged = true;
    if (cfg->memory == CAMERA_MEMORY_FLASH && validation->verdict.failures == 0)
        end = NETWORK_STAYS;
out:
    return deployment_end(&deployment, end, err);
}
