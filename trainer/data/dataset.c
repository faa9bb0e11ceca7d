#include "trainer/data/dataset.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "trainer/data/dataset_manifest.h"
#include "trainer/data/dataset_store.h"
#include "trainer/data/image_file.h"
#include "trainer/data/jpeg.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dataset {
    char *path;
    struct store *store;
    struct dataset_info info;
    Glowworm__DatasetManifest *manifest; /* owns what info borrows */
};

static enum err read_manifest(struct store_txn *txn, void *own)
{
    enum err err = ERR_OK;
    struct dataset *dataset = own;
    struct store_bytes value;
    err = store_get(txn, TABLE_MANIFEST, store_text(MANIFEST_KEY), &value);
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_DATA, "its import was not finished");
    TRY(err);
    TRY(dataset_manifest_read(value.data, value.size, &dataset->manifest, &dataset->info));
out:
    return err;
}

/* Where a data set is missing, its replacement may have been stopped in the middle. */
static enum err explain_missing(const char *path)
{
    enum err err = ERR_NOT_FOUND;
    char *name = file_without_slash(path);
    struct text made;
    text_init(&made);
    text_add(&made, "%s" DATASET_BESIDE "/" DATASET_IMPORTED, name);
    if (folder_is_half_replaced(text_get(&made), name))
        err = err_set(
            ERR_DATA,
            "the dataset %s: an import that replaced it was stopped in the middle; import "
            "again (the old one and the new one are kept in %s" DATASET_BESIDE " until then)",
            name, name);
    text_fini(&made);
    mem_free(name);
    return err;
}

enum err dataset_open(const char *path, struct dataset **dataset)
{
    enum err err = ERR_OK;
    struct dataset *opened = mem_alloc(sizeof *opened);
    opened->path = mem_string(path);
    err = dataset_store_open(path, STORE_READ, &opened->store);
    if (err == ERR_NOT_FOUND)
        err = explain_missing(path);
    TRY(err);
    err = store_view(opened->store, read_manifest, opened);
    if (err != ERR_OK)
        TRY(err_prefix(err, "the dataset %s", path));
    *dataset = opened;
    opened = NULL;
out:
    dataset_close(&opened);
    return err;
}

void dataset_close(struct dataset **dataset)
{
    struct dataset *closed = *dataset;
    if (!closed)
        return;
    store_close(&closed->store);
    if (closed->manifest)
        glowworm__dataset_manifest__free_unpacked(closed->manifest, NULL);
    mem_free(closed->path);
    mem_free(closed);
    *dataset = NULL;
}

const struct dataset_info *dataset_info(const struct dataset *dataset)
{
    return &dataset->info;
}

const char *dataset_path(const struct dataset *dataset)
{
    return dataset->path;
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t l = *(const uint32_t *)left, r = *(const uint32_t *)right;
    return l < r ? -1 : l > r;
}

enum err dataset_split(const struct dataset *dataset, enum split split, uint32_t holdout,
                       uint32_t **records, uint32_t *count)
{
    uint32_t train = dataset->info.train_count, first = 0, n = dataset->info.test_count;
    if (holdout >= train)
        return err_set(ERR_CONFIG,
                       "dataset.holdout is %u, but %s has only %u training images: set it to "
                       "about %u",
                       holdout, dataset->path, train, train / 10);
    uint32_t *order = mem_array(split == SPLIT_TEST ? n : train, sizeof *order);
    if (split == SPLIT_TEST) {
        for (uint32_t i = 0; i < n; i++)
            order[i] = train + i;
    } else {
        rng_permute(0, RNG_HOLDOUT, 0, train, order);
        first = split == SPLIT_HOLDOUT ? 0 : holdout;
        n = split == SPLIT_HOLDOUT ? holdout : train - holdout;
        memmove(order, order + first, n * sizeof *order);
        qsort(order, n, sizeof *order, compare_numbers); /* neighbours on the disk stay so */
    }
    *records = order;
    *count = n;
    return ERR_OK;
}

struct visit { /* store_view()'s argument */
    const struct dataset *dataset;
    const uint32_t *records;
    uint32_t count;
    enum err (*visit)(uint32_t index, const struct record *record, void *own);
    void *own;
};

static enum err find_record(const struct dataset *dataset, struct store_txn *txn, uint32_t number,
                            struct record *record)
{
    enum err err = ERR_OK;
    const struct dataset_info *info = &dataset->info;
    struct store_bytes pack;
    const uint8_t *bytes;
    size_t size;
    uint8_t room[8];
    err = store_get(txn, TABLE_PACKS, store_number(number / PACK_RECORDS, room), &pack);
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_DATA, "the record is missing");
    TRY(err);
    TRY(pack_find(pack.data, pack.size, number % PACK_RECORDS, &bytes, &size));
    TRY(record_parse(bytes, size, record));
    record->stored = bytes;
    record->stored_bytes = size;
    if (record->C != info->channels || record->H > info->max_height || record->W > info->max_width)
        TRY(err_set(ERR_DATA, "%d x %d x %d in a dataset of up to %d x %d x %d", record->H,
                    record->W, record->C, info->max_height, info->max_width, info->channels));
    if (record->label >= info->classes)
        TRY(err_set(ERR_DATA, "label %d, but there are %d classes, 0 to %d", record->label,
                    info->classes, info->classes - 1));
out:
    return err;
}

static enum err visit_records(struct store_txn *txn, void *own)
{
    struct visit *visit = own;
    for (uint32_t i = 0; i < visit->count; i++) {
        struct record record;
        enum err err = find_record(visit->dataset, txn, visit->records[i], &record);
        if (err == ERR_OK)
            err = visit->visit(i, &record, visit->own);
        if (err != ERR_OK)
            return err_prefix(err, "record %u of the dataset %s", visit->records[i],
                              visit->dataset->path);
    }
    return ERR_OK;
}

enum err dataset_visit(const struct dataset *dataset, const uint32_t *records, uint32_t count,
                       enum err (*visit)(uint32_t index, const struct record *record, void *own),
                       void *own)
{
    struct visit body = {dataset, records, count, visit, own};
    return store_view(dataset->store, visit_records, &body);
}

static enum err decode_jpeg(const struct record *record, struct image *image)
{
    struct jpeg_decoder *decoder = jpeg_decoder_create(record->H, record->W, record->C);
    struct jpeg_request request = {.bytes = record->picture,
                                   .size_bytes = record->picture_bytes,
                                   .H = record->H,
                                   .W = record->W,
                                   .C = record->C,
                                   .shrink = 1,
                                   .area = {0, 0, record->H, record->W}};
    struct pixels pixels;
    struct area area;
    enum err err = jpeg_decode(decoder, &request, &pixels, &area);
    if (err == ERR_OK)
        memcpy(image->pixels, pixels.data, pixels.row_bytes * (size_t)pixels.H);
    jpeg_decoder_destroy(&decoder);
    return err;
}

static enum err decode(uint32_t index, const struct record *record, void *own)
{
    struct image *image = own;
    (void)index;
    image->H = record->H;
    image->W = record->W;
    image->C = record->C;
    image->label = record->label;
    image_reserve(image, (size_t)record->H * (size_t)record->W * (size_t)record->C);
    if (record->format == IMAGE_JPEG)
        return decode_jpeg(record, image);
    memcpy(image->pixels, record->picture, record->picture_bytes);
    return ERR_OK;
}

enum err dataset_read(const struct dataset *dataset, uint32_t record, struct image *image)
{
    return dataset_visit(dataset, &record, 1, decode, image);
}

struct naming {
    char *name;
    size_t room;
};

static enum err copy_name(uint32_t index, const struct record *record, void *own)
{
    struct naming *naming = own;
    (void)index;
    snprintf(naming->name, naming->room, "%.*s", (int)record->name_bytes, record->name);
    return ERR_OK;
}

enum err dataset_record_name(const struct dataset *dataset, uint32_t record, char *name,
                             size_t room)
{
    struct naming naming = {name, room};
    enum err err = dataset_visit(dataset, &record, 1, copy_name, &naming);
    if (err == ERR_OK && name[0] == '\0') {
        bool is_train = record < dataset->info.train_count;
        snprintf(name, room, "%s[%u]", is_train ? "train" : "test",
                 is_train ? record : record - dataset->info.train_count);
    }
    return err;
}
