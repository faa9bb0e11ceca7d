#include "trainer/data/dataset_manifest.h"
#include "trainer/data/dataset_store.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_side(uint32_t pixels)
{
    return pixels > 0 && pixels <= DATASET_MAX_SIDE;
}

static bool is_sound_import(const Glowworm__Imported *imported)
{
    return imported->side > 0 && imported->side <= DATASET_MAX_SIDE && imported->bits >= 8 &&
           imported->bits <= SAMPLE_BITS && imported->bayer <= BAYER_BG &&
           imported->raw_width <= DATASET_MAX_SIDE && imported->raw_height <= DATASET_MAX_SIDE;
}

static enum err check_manifest(const Glowworm__DatasetManifest *manifest)
{
    if (manifest->version > MANIFEST_VERSION)
        return err_set(ERR_DATA, "its layout has version %u, this program reads up to %d",
                       manifest->version, MANIFEST_VERSION);
    size_t classes = manifest->n_class_names, channels = manifest->channels;
    bool is_sound = (channels == 1 || channels == 3) && manifest->n_mean == channels &&
                    manifest->n_deviation == channels && classes > 0 && classes <= INT32_MAX &&
                    manifest->n_train_per_class == classes &&
                    manifest->n_test_per_class == classes && manifest->train_count > 0 &&
                    manifest->content.len == HASH_BYTES && manifest->format <= IMAGE_JPEG &&
                    manifest->test_count <= UINT32_MAX - manifest->train_count &&
                    is_side(manifest->max_height) && is_side(manifest->max_width) &&
                    (!manifest->imported || is_sound_import(manifest->imported));
    for (size_t c = 0; is_sound && c < channels; c++)
        is_sound = isfinite(manifest->mean[c]) && manifest->deviation[c] > 0.0 &&
                   isfinite(manifest->deviation[c]);
    return is_sound ? ERR_OK : err_set(ERR_DATA, "its manifest is damaged");
}

static struct imported take_imported(const Glowworm__Imported *imported)
{
    return (struct imported){.side = (int)imported->side,
                             .is_grey = imported->grey,
                             .samples = {.bits = (int)imported->bits,
                                         .bayer = (enum bayer)imported->bayer,
                                         .raw_width = (int)imported->raw_width,
                                         .raw_height = (int)imported->raw_height}};
}

static void take_info(const Glowworm__DatasetManifest *manifest, struct dataset_info *info)
{
    snprintf(info->source, sizeof info->source, "%s", manifest->source);
    info->classes = (int)manifest->n_class_names;
    info->class_names = manifest->class_names;
    info->channels = (int)manifest->channels;
    info->train_count = manifest->train_count;
    info->test_count = manifest->test_count;
    info->max_height = (int)manifest->max_height;
    info->max_width = (int)manifest->max_width;
    info->format = (enum image_format)manifest->format;
    info->train_per_class = manifest->train_per_class;
    info->test_per_class = manifest->test_per_class;
    info->record_bytes = manifest->record_bytes;
    if (manifest->imported)
        info->imported = take_imported(manifest->imported);
    memcpy(info->content.bytes, manifest->content.data, HASH_BYTES);
    for (size_t c = 0; c < manifest->n_mean; c++) {
        info->mean[c] = manifest->mean[c];
        info->deviation[c] = manifest->deviation[c];
    }
}

enum err dataset_manifest_read(const void *bytes, size_t size_bytes,
                               Glowworm__DatasetManifest **manifest, struct dataset_info *info)
{
    enum err err = ERR_OK;
    Glowworm__DatasetManifest *read = glowworm__dataset_manifest__unpack(NULL, size_bytes, bytes);
    if (!read)
        TRY(err_set(ERR_DATA, "its manifest is damaged"));
    TRY(check_manifest(read));
    take_info(read, info);
    *manifest = read;
    read = NULL;
out:
    if (read)
        glowworm__dataset_manifest__free_unpacked(read, NULL);
    return err;
}
