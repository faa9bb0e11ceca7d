/* Pairs of IDX files under their usual names: anything with "train" or "t10k"/"test", and "images"
 * or "labels", and "idx" in it: train-images-idx3-ubyte.gz, emnist-letters-test-labels-idx1-ubyte,
 * train-images.idx3-ubyte. */
#include "base/file.h"
#include "base/mem.h"
#include "trainer/data/idx.h"
#include "trainer/data/source.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum part { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS, PARTS, PART_NONE };

static const char *const part_names[PARTS] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                              "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

static bool is_gzip(const char *path)
{
    size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".gz") == 0;
}

static enum part part_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (name[0] == '.' || !strstr(name, "idx"))
        return PART_NONE;
    bool is_train = strstr(name, "train"), is_test = strstr(name, "t10k") || strstr(name, "test");
    bool is_images = strstr(name, "images"), is_labels = strstr(name, "labels");
    if (is_train == is_test || is_images == is_labels)
        return PART_NONE;
    return is_train ? (is_images ? TRAIN_IMAGES : TRAIN_LABELS)
                    : (is_images ? TEST_IMAGES : TEST_LABELS);
}

bool source_is_idx_name(const char *path)
{
    return part_of(path) != PART_NONE;
}

bool source_is_idx(const char *folder)
{
    DIR *entries = opendir(folder);
    bool found = false;
    for (struct dirent *entry; entries && !found && (entry = readdir(entries));)
        found = part_of(entry->d_name) != PART_NONE;
    if (entries)
        closedir(entries);
    return found;
}

/* Of a file and its gzip the plain one is taken; two different files for a part are an error. */
static enum err take_path(char *paths[PARTS], const char *path)
{
    enum part part = part_of(path);
    if (part == PART_NONE)
        return ERR_OK;
    char *old = paths[part];
    if (old) {
        size_t length = is_gzip(old) ? strlen(old) - 3 : strlen(old);
        size_t other = is_gzip(path) ? strlen(path) - 3 : strlen(path);
        if (length != other || strncmp(old, path, length) != 0)
            return err_set(ERR_DATA, "%s and %s both look like %s", old, path, part_names[part]);
        if (is_gzip(path))
            return ERR_OK;
        mem_free(old);
    }
    paths[part] = mem_string(path);
    return ERR_OK;
}

static enum err find_in_folder(char *paths[PARTS], const char *folder)
{
    enum err err = ERR_OK;
    char *path = NULL;
    DIR *entries = opendir(folder);
    if (!entries)
        return err_set(ERR_IO, "cannot list %s", folder);
    for (struct dirent *entry; (entry = readdir(entries));) {
        mem_free(path);
        path = file_join(folder, entry->d_name);
        TRY(take_path(paths, path));
    }
out:
    mem_free(path);
    closedir(entries);
    return err;
}

static enum err find_parts(const struct import_cfg *cfg, char *paths[PARTS])
{
    enum err err = ERR_OK;
    for (int i = 0; i < cfg->source_count; i++) {
        const char *path = cfg->sources[i];
        if (file_is_folder(path))
            TRY(find_in_folder(paths, path));
        else if (!file_exists(path))
            TRY(err_set(ERR_NOT_FOUND, "there is no file or folder %s", path));
        else if (part_of(path) == PART_NONE)
            TRY(err_set(ERR_DATA,
                        "%s is neither a folder nor named like an IDX file (such as %s.gz)", path,
                        part_names[TRAIN_IMAGES]));
        else
            TRY(take_path(paths, path));
    }
    bool has_test = paths[TEST_IMAGES] || paths[TEST_LABELS];
    for (int part = 0; part < (has_test ? PARTS : TEST_IMAGES); part++)
        if (!paths[part])
            TRY(err_set(ERR_DATA, "%s or %s.gz is missing among the IDX files", part_names[part],
                        part_names[part]));
out:
    return err;
}

/* The labels grow as they are read: the header's count is not trusted with memory. */
static enum err read_labels(const char *path, uint32_t count, uint8_t **labels, size_t have)
{
    enum err err = ERR_OK;
    struct idx idx;
    size_t room = have;
    TRY(idx_open(path, &idx));
    if (idx.rank != 1)
        TRY(err_set(ERR_DATA, "%s holds images where labels are expected", path));
    if (idx.count != count)
        TRY(err_set(ERR_DATA, "%s has %u labels for %u images", path, idx.count, count));
    for (size_t i = have; i < have + count; i++) {
        if (i == room) {
            room = 2 * room + 4096;
            *labels = mem_grow(*labels, i, room);
        }
        TRY(idx_read(&idx, *labels + i));
    }
out:
    idx_close(&idx);
    return err;
}

static enum err open_pair(struct source *source, char *paths[PARTS], int split)
{
    enum err err = ERR_OK;
    struct idx *images = &source->images[split];
    const char *path = paths[split == 0 ? TRAIN_IMAGES : TEST_IMAGES];
    TRY(idx_open(path, images));
    if (images->rank == 1)
        TRY(err_set(ERR_DATA, "%s holds labels where images are expected", path));
    TRY(read_labels(paths[split == 0 ? TRAIN_LABELS : TEST_LABELS], images->count, &source->labels,
                    source->train_count));
    if (split == 0)
        source->train_count = images->count;
    else
        source->test_count = images->count;
out:
    return err;
}

/* Without names the training labels say what classes there are; with names, the names. */
static enum err number_classes(struct source *source, const struct import_cfg *cfg,
                               const char *test_labels)
{
    uint32_t train = source->train_count, all = train + source->test_count;
    int classes = 0;
    for (uint32_t i = 0; i < all; i++) {
        int label = source->labels[i];
        if (label >= classes && i >= train && !cfg->labels_path)
            return err_set(ERR_DATA,
                           "%s: item %u has label %d, but the training images are of %d classes, 0 "
                           "to %d; name all classes with --labels if that is right",
                           test_labels, i - train, label, classes, classes - 1);
        classes = label >= classes ? label + 1 : classes;
    }
    source->classes = classes;
    source->class_names = mem_array((size_t)classes, sizeof *source->class_names);
    for (int i = 0; i < classes; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        source->class_names[i] = mem_string(name);
    }
    return ERR_OK;
}

enum err source_open_idx(const struct import_cfg *cfg, struct source *source)
{
    enum err err = ERR_OK;
    char *paths[PARTS] = {NULL};
    source->images = mem_array(2, sizeof *source->images);
    TRY(find_parts(cfg, paths));
    if (cfg->samples.bits || cfg->samples.bayer || cfg->samples.raw_width)
        TRY(err_set(ERR_USAGE,
                    "--bits, --bayer and --raw say how image files are read; IDX files need none"));
    TRY(open_pair(source, paths, 0));
    if (paths[TEST_IMAGES])
        TRY(open_pair(source, paths, 1));
    TRY(number_classes(source, cfg, paths[TEST_LABELS]));
out:
    for (int part = 0; part < PARTS; part++)
        mem_free(paths[part]);
    return err;
}
