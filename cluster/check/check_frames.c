#include "cluster/check/check_frames.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "trainer/export/bundle.h"
#include "trainer/export/raw_frame.h"
#include "trainer/record/json_name.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JSON = 64 << 20 };

struct frames { /* at work on them */
    struct bundle_check *check;
    struct emulator *emulators[BUNDLE_EXPECTED];
    struct emulation emulation;
    struct image seen;
};

static enum err read_bytes(const char *bundle, const char *name, char **bytes, size_t *size)
{
    char *path = file_join(bundle, name);
    int file = -1;
    enum err err = file_open_regular(path, &file);
    if (err == ERR_OK) {
        err = file_read_from(file, path, 1 << 30, bytes, size);
        close(file);
    }
    mem_free(path);
    return err;
}

/* Names that lead out of the bundle are nobody's. */
static enum err read_frame(const char *bundle, const char *name, struct image *seen)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    if (strncmp(name, "samples/", 8) != 0 || !file_is_name(name + 8))
        TRY(err_set(ERR_DATA, "%s/samples.json: a raw frame that is no file of samples/", bundle));
    TRY(read_bytes(bundle, name, &bytes, &size));
    err = raw_frame_read((const uint8_t *)bytes, size, seen);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s/%s", bundle, name));
out:
    mem_free(bytes);
    return err;
}

/* Largest difference of probabilities. One that is no number is null; where one side has a number,
 * they are as far off as they can be. */
static double difference(const json_t *outputs, const float *found, int count)
{
    double largest = 0;
    for (int k = 0; k < count; k++) {
        const json_t *expected = json_array_get(outputs, (size_t)k);
        if (json_is_number(expected) && isfinite(found[k]))
            largest = fmax(largest, fabs(json_number_value(expected) - (double)found[k]));
        else if (!json_is_null(expected) || isfinite(found[k]))
            largest = 1;
    }
    return largest;
}

static enum err compare(struct frames *frames, const json_t *expected)
{
    enum err err = ERR_OK;
    struct bundle_check *check = frames->check;
    const struct exported *net = &check->checked->net;
    bundle_normalise(&check->bundle.dataset, &frames->seen, check->bundle.is_bgr,
                     check->bundle.values);
    for (int e = 0; e < BUNDLE_EXPECTED; e++) {
        const json_t *outputs =
            json_object_get(json_object_get(expected, bundle_expected_names[e]), "outputs");
        if (json_array_size(outputs) != (size_t)check->bundle.shape.classes)
            TRY(err_set(ERR_DATA, "%s/samples.json: a raw frame without %d expected outputs in %s",
                        check->cfg.bundle, check->bundle.shape.classes, bundle_expected_names[e]));
        emulator_run(frames->emulators[e], check->bundle.values, &frames->emulation);
        check->frame_difference = fmax(check->frame_difference,
                                       difference(outputs, frames->emulation.maps[net->count - 1],
                                                  check->bundle.shape.classes));
    }
out:
    return err;
}

static enum err compare_all(struct frames *frames, const json_t *rows)
{
    enum err err = ERR_OK;
    struct bundle_check *check = frames->check;
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "raw"));
        if (!name)
            continue;
        TRY(read_frame(check->cfg.bundle, name, &frames->seen));
        TRY(compare(frames, json_object_get(row, "expected")));
        check->frames++;
    }
out:
    return err;
}

static enum err run_frames(struct bundle_check *check, const json_t *rows)
{
    static const enum arithmetic arithmetics[BUNDLE_EXPECTED] = {ARITHMETIC_FP32,
                                                                 ARITHMETIC_FP16_SUM32};
    enum err err = ERR_OK;
    const struct exported *net = &check->checked->net;
    struct frames frames = {.check = check,
                            .seen = {.H = net->input.H, .W = net->input.W, .C = net->input.C}};
    for (int e = 0; e < BUNDLE_EXPECTED; e++)
        frames.emulators[e] = emulator_create(net, arithmetics[e]);
    TRY(emulation_init(net, &frames.emulation));
    TRY(compare_all(&frames, rows));
out:
    for (int e = 0; e < BUNDLE_EXPECTED; e++)
        emulator_destroy(&frames.emulators[e]);
    emulation_fini(&frames.emulation);
    mem_free(frames.seen.pixels);
    return err;
}

static void judge(struct bundle_check *check)
{
    char sentence[256];
    if (check->frame_difference <= CHECK_FRAME_TOLERANCE)
        return;
    snprintf(
        sentence, sizeof sentence,
        "%s answers the raw frames otherwise than samples.json expects, by up to %.2g: compile "
        "the bundle anew",
        check->checked->files, check->frame_difference);
    json_array_append_new(check->failures, json_name(sentence));
}

enum err check_frames(struct bundle_check *check)
{
    enum err err = ERR_OK;
    json_t *rows = NULL;
    char *path = file_join(check->cfg.bundle, "samples.json");
    TRY(json_file_read(path, MAX_JSON, &rows));
    TRY(run_frames(check, rows));
    judge(check);
out:
    json_decref(rows);
    mem_free(path);
    return err;
}
