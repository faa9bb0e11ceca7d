#include "cluster/check/check_run.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/check/check_files.h"
#include "cluster/check/check_frames.h"
#include "cluster/check/check_rules.h"
#include "cluster/check/check_verdict.h"
#include "cluster/json_file.h"
#include "trainer/export/bundle.h"
#include <math.h>
#include <string.h>

enum { MAX_LIST = 16 << 20 };

static enum err read_list(struct bundle_check *check)
{
    enum err err = ERR_OK;
    char *path = file_join(check->cfg.bundle, "bundle.json");
    err = json_file_read(path, MAX_LIST, &check->list);
    if (err == ERR_NOT_FOUND)
        err =
            err_set(ERR_NOT_FOUND, "%s is not a bundle: it has no bundle.json", check->cfg.bundle);
    if (err == ERR_DATA) {
        char *why = mem_string(err_text());
        err_set(err, "%s: compile the bundle anew", why);
        mem_free(why);
    }
    mem_free(path);
    return err;
}

/* One that is not found here (a file of somebody's own) predicts nothing, and that is no error. */
static void find_device(struct bundle_check *check)
{
    const char *name = json_string_value(json_object_get(check->list, "device"));
    if (!name || !file_is_name(name) || camera_device_load(name, &check->device) != ERR_OK)
        camera_device_any(&check->device);
}

/* Largest difference of logits, of the largest of them. */
static double relative_difference(const float *expected, const float *found, int classes)
{
    return error_figures(expected, found, classes).largest / 100;
}

/* Is one of the outputs behind those of the classes the largest? */
static bool strays(const float *logits, int classes, int outputs)
{
    float best = logits[0];
    for (int k = 1; k < classes; k++)
        best = fmaxf(best, logits[k]);
    for (int k = classes; k < outputs; k++)
        if (!(logits[k] <= best))
            return true;
    return false;
}

/* Runs a format in fp32 over the samples: its logits are compared with the supernet's, and with
 * those of the checked format, `first` (samples, classes), which it writes when it is that one. */
static enum err run_samples(struct bundle_check *check, struct check_format *format, float *first)
{
    enum err err = ERR_OK;
    struct emulation emulation = {0};
    struct emulator *emulator = emulator_create(&format->net, ARITHMETIC_FP32);
    int classes = check->bundle.classes;
    TRY(emulation_init(&format->net, &emulation));
    for (int i = 0; i < check->images.sample_count; i++) {
        const struct check_sample *sample = &check->images.samples[i];
        float *expected = first + (size_t)i * (size_t)classes;
        bundle_normalise(&check->bundle.dataset, &sample->image, check->bundle.is_bgr,
                         check->bundle.values);
        emulator_run(emulator, check->bundle.values, &emulation);
        const float *logits = emulation.maps[format->net.logits];
        if (format == check->checked)
            memcpy(expected, logits, (size_t)classes * sizeof *logits);
        format->strays += strays(logits, classes, check->bundle.shape.classes);
        format->difference =
            fmax(format->difference, relative_difference(expected, logits, classes));
        format->supernet_difference =
            fmax(format->supernet_difference, relative_difference(sample->logits, logits, classes));
    }
out:
    emulator_destroy(&emulator);
    emulation_fini(&emulation);
    return err;
}

static enum err compare_formats(struct bundle_check *check)
{
    enum err err = ERR_OK;
    float *first = mem_array((size_t)check->images.sample_count,
                             (size_t)check->bundle.classes * sizeof *first);
    TRY(run_samples(check, check->checked, first));
    for (int f = 0; f < CHECK_FORMATS; f++)
        if (check->formats[f].is_there && &check->formats[f] != check->checked)
            TRY(run_samples(check, &check->formats[f], first));
out:
    mem_free(first);
    return err;
}

static enum err give_image(int index, float *values, int *label, void *own)
{
    enum err err = ERR_OK;
    const struct bundle_check *check = own;
    struct image image = {0};
    TRY(check_images_read(&check->images, index, &image));
    bundle_normalise(&check->bundle.dataset, &image, check->bundle.is_bgr, values);
    *label = image.label;
out:
    mem_free(image.pixels);
    return err;
}

static void tell_progress(int done, void *own)
{
    const struct bundle_check *check = own;
    if (check->cfg.progress)
        check->cfg.progress(done, check->images.count);
}

static enum err compare_arithmetics(struct bundle_check *check)
{
    struct divergence_cfg cfg = {.net = &check->checked->net,
                                 .images = check->images.count,
                                 .threads = check->cfg.threads,
                                 .classes = check->bundle.classes,
                                 .image = give_image,
                                 .progress = tell_progress,
                                 .own = check};
    return divergence_run(&cfg, &check->divergence);
}

enum err bundle_check_open(const struct bundle_check_cfg *cfg, struct bundle_check *check)
{
    enum err err = ERR_OK;
    memset(check, 0, sizeof *check);
    check->cfg = *cfg;
    check->failures = json_array();
    check->warnings = json_array();
    TRY(read_list(check));
    TRY(check_hashes(cfg->bundle, check->list));
    TRY(opened_bundle_load(cfg->bundle, &check->bundle));
    TRY(check_formats_read(cfg->bundle, &check->bundle.shape, check->formats));
    check->checked = check_formats_first(check->formats);
    find_device(check);
    TRY(check_images_open(cfg->bundle, &check->bundle, cfg->run, cfg->images, &check->images));
out:
    return err;
}

enum err bundle_check_run(const struct bundle_check_cfg *cfg, struct bundle_check *check)
{
    enum err err = ERR_OK;
    TRY(bundle_check_open(cfg, check));
    TRY(compare_formats(check));
    TRY(compare_arithmetics(check));
    check_judge(check);
    TRY(check_frames(check));
    check_rules(check);
out:
    return err;
}
