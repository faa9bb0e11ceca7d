#include "cluster/check/check_images.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/json_file.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 4096, MAX_JSON = 64 << 20 };
#define MAX_SAMPLE_BYTES ((size_t)1 << 30) /* of all samples' pixels: they are kept */

/* RUN/bundles/TARGET: returns owned; NULL where the folder lies in no run. */
static char *find_run(const char *bundle)
{
    char path[PATH_MAX];
    if (!realpath(bundle, path))
        return NULL;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        if (!slash || (up == 1 && strcmp(slash, "/bundles") != 0))
            return NULL;
        *slash = '\0';
    }
    char *campaign = file_join(path, "campaign.yaml");
    char *run = file_exists(campaign) ? mem_string(path) : NULL;
    mem_free(campaign);
    return run;
}

static enum err read_pixels(const char *bundle, const char *name, const struct onnx_shape *shape,
                            struct image *image)
{
    enum err err = ERR_OK;
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS};
    char *path = file_join(bundle, name);
    err = image_file_read(path, &limits, image, NULL);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    if (image->H != shape->height || image->W != shape->width || image->C != shape->channels)
        TRY(err_set(ERR_DATA, "%s is of %d x %d x %d, the network takes %d x %d x %d", path,
                    image->H, image->W, image->C, shape->height, shape->width, shape->channels));
out:
    mem_free(path);
    return err;
}

/* A name of a list that may be anybody's: a file of samples/, nothing outside. */
static bool is_sample_name(const char *name)
{
    return name && strncmp(name, "samples/", 8) == 0 && file_is_name(name + 8);
}

static enum err read_sample(const char *bundle, const json_t *row, const struct onnx_shape *shape,
                            struct check_sample *sample)
{
    enum err err = ERR_OK;
    const json_t *logits = json_object_get(row, "logits"), *label = json_object_get(row, "label");
    const char *name = json_string_value(json_object_get(row, "file"));
    if (!is_sample_name(name) || json_array_size(logits) != (size_t)shape->classes ||
        !json_is_integer(label) || json_integer_value(label) < 0 ||
        json_integer_value(label) >= shape->classes)
        TRY(err_set(ERR_DATA,
                    "%s/samples.json: a sample without a file of samples/, a label or %d "
                    "logits",
                    bundle, shape->classes));
    sample->image.label = (int32_t)json_integer_value(label);
    sample->logits = mem_array((size_t)shape->classes, sizeof *sample->logits);
    for (size_t k = 0; k < (size_t)shape->classes; k++)
        sample->logits[k] = (float)json_number_value(json_array_get(logits, k));
    TRY(read_pixels(bundle, name, shape, &sample->image));
out:
    return err;
}

static enum err check_count(const char *path, size_t count, const struct onnx_shape *shape)
{
    size_t bytes = (size_t)shape->height * (size_t)shape->width * (size_t)shape->channels;
    if (count == 0 || count > MAX_SAMPLES)
        return err_set(ERR_DATA, "%s: 1 to %d samples are read, not %zu", path, MAX_SAMPLES, count);
    return bytes <= MAX_SAMPLE_BYTES / count
               ? ERR_OK
               : err_set(ERR_DATA,
                         "%s: %zu samples of %d x %d x %d take more than %zu MiB: compile the "
                         "bundle anew with fewer",
                         path, count, shape->height, shape->width, shape->channels,
                         MAX_SAMPLE_BYTES >> 20);
}

static enum err read_samples(const char *bundle, struct check_images *images)
{
    enum err err = ERR_OK;
    json_t *rows = NULL;
    char *path = file_join(bundle, "samples.json");
    TRY(json_file_read(path, MAX_JSON, &rows));
    size_t count = json_array_size(rows);
    TRY(check_count(path, count, &images->shape));
    images->samples = mem_array(count, sizeof *images->samples);
    images->sample_count = (int)count;
    for (size_t i = 0; i < count; i++)
        TRY(read_sample(bundle, json_array_get(rows, i), &images->shape, &images->samples[i]));
out:
    json_decref(rows);
    mem_free(path);
    return err;
}

/* An answer is a class by its place alone: both have to list the same ones. Names of the bundle are
 * those that can be printed. */
static enum err check_classes(const char *path, const struct dataset_info *info,
                              const struct opened_bundle *opened)
{
    if (info->classes != opened->classes)
        return err_set(ERR_CONFIG,
                       "%s has %d classes, the bundle %d: it was compiled from another data set",
                       path, info->classes, opened->classes);
    for (int k = 0; k < info->classes; k++) {
        struct text name;
        text_init(&name);
        text_add_safe(&name, info->class_names[k], strlen(info->class_names[k]));
        bool is_same = strcmp(text_get(&name), opened->labels[k]) == 0;
        enum err err = is_same ? ERR_OK
                               : err_set(ERR_CONFIG,
                                         "%s: class %d is \"%s\", in the bundle's labels.txt "
                                         "\"%s\": it was compiled from another data set",
                                         path, k, text_get(&name), opened->labels[k]);
        text_fini(&name);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err open_split(const struct opened_bundle *opened, struct check_images *images)
{
    enum err err = ERR_OK;
    char *path = file_join(images->run, "campaign.yaml");
    images->campaign = mem_alloc(sizeof *images->campaign);
    TRY(campaign_load(path, NULL, 0, images->campaign));
    TRY(splits_open(images->campaign, images->campaign->dataset.path, &images->splits));
    TRY(check_classes(images->campaign->dataset.path, dataset_info(images->splits.dataset),
                      opened));
    bool is_held_out = images->splits.holdout_count > 0;
    images->records = is_held_out ? images->splits.holdout : images->splits.train;
    images->from = is_held_out ? "hold-out" : "training";
    images->available = is_held_out ? images->splits.holdout_count : images->splits.train_count;
    images->count = (int)images->available;
out:
    mem_free(path);
    return err;
}

/* A run that was not asked for and whose images are away is as good as none; why is kept. */
static enum err open_run(const char *bundle, const struct opened_bundle *opened, const char *run,
                         struct check_images *images)
{
    images->run = run ? mem_string(run) : find_run(bundle);
    if (!images->run)
        return ERR_OK;
    enum err err = open_split(opened, images);
    if (err == ERR_OK || run)
        return err;
    images->why_not = mem_string(err_text());
    images->records = NULL;
    return ERR_OK;
}

enum err check_images_open(const char *bundle, const struct opened_bundle *opened, const char *run,
                           int most, struct check_images *images)
{
    enum err err = ERR_OK;
    images->shape = opened->shape;
    images->shape.classes = opened->classes;
    images->geometry = opened->geometry;
    TRY(image_file_start());
    TRY(read_samples(bundle, images));
    TRY(open_run(bundle, opened, run, images));
    if (!images->records) {
        images->from = "sample";
        images->count = images->sample_count;
    }
    images->count = images->count < most ? images->count : most;
out:
    return err;
}

void check_images_close(struct check_images *images)
{
    for (int i = 0; i < images->sample_count; i++) {
        mem_free(images->samples[i].image.pixels);
        mem_free(images->samples[i].logits);
    }
    mem_free(images->samples);
    splits_close(&images->splits);
    mem_free(images->campaign);
    mem_free(images->run);
    mem_free(images->why_not);
    memset(images, 0, sizeof *images);
}

static enum err copy_sample(const struct image *from, struct image *to)
{
    size_t size = (size_t)from->H * (size_t)from->W * (size_t)from->C;
    image_reserve(to, size);
    to->H = from->H, to->W = from->W, to->C = from->C, to->label = from->label;
    memcpy(to->pixels, from->pixels, size);
    return ERR_OK;
}

enum err check_images_read(const struct check_images *images, int index, struct image *image)
{
    enum err err = ERR_OK;
    struct image read = {0};
    if (!images->records)
        return copy_sample(&images->samples[index].image, image);
    uint32_t record = images->records[splits_spread(images->available, index, images->count)];
    TRY(dataset_read(images->splits.dataset, record, &read));
    bundle_fit_image(&read, images->shape.height, images->shape.channels, images->geometry, image);
out:
    mem_free(read.pixels);
    return err;
}
