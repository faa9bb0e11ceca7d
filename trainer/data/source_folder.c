/* Class folders: SOURCE/<class>/..., or SOURCE/train/<class>/... with test/ or val/ beside it.
 * Names are compared byte by byte, so the order is the same everywhere; hidden entries are not
 * there. */
#include "base/file.h"
#include "base/mem.h"
#include "trainer/data/source.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listing { /* the entries of one folder, sorted */
    char **names;
    size_t count, room;
};

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void listing_fini(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        mem_free(listing->names[i]);
    mem_free(listing->names);
    *listing = (struct listing){NULL, 0, 0};
}

static void add_name(struct listing *listing, const char *name)
{
    if (listing->count == listing->room) {
        size_t room = 2 * listing->room + 64;
        listing->names =
            mem_grow(listing->names, listing->room * sizeof(char *), room * sizeof(char *));
        listing->room = room;
    }
    listing->names[listing->count++] = mem_string(name);
}

/* The whole folder, or an error: what a failing disk leaves out must not look like a class with
 * fewer images. */
static enum err list(const char *folder, struct listing *listing)
{
    DIR *entries = opendir(folder);
    if (!entries)
        return err_set(ERR_IO, "cannot list the folder %s: %s", folder, strerror(errno));
    errno = 0;
    for (struct dirent *entry; (entry = readdir(entries)); errno = 0)
        if (entry->d_name[0] != '.')
            add_name(listing, entry->d_name);
    int failure = errno;
    closedir(entries);
    if (failure != 0)
        return err_set(ERR_IO, "cannot list the whole folder %s: %s", folder, strerror(failure));
    if (listing->count > 0)
        qsort(listing->names, listing->count, sizeof *listing->names, compare_names);
    return ERR_OK;
}

static char *join(const char *folder, const char *name)
{
    return folder[0] ? file_join(folder, name) : mem_string(name);
}

struct walk { /* where files go as they are found */
    struct source *source;
    struct import_report *report;
    int32_t label;
};

struct above { /* the folders a walk is in, innermost first */
    const struct above *next;
    dev_t device;
    ino_t number;
};

#define MOST_ABOVE 64 /* folders of a source's path that links are held against */

/* Up to the root of the file system; what cannot be looked at is above nothing. */
static const struct above *stand_above(const char *folder, const struct above *next,
                                       struct above room[MOST_ABOVE])
{
    struct stat status;
    char *path = mem_string(folder);
    for (int i = 0; i < MOST_ABOVE && stat(path, &status) == 0; i++) {
        bool is_top = next && next->device == status.st_dev && next->number == status.st_ino;
        if (is_top) /* whose .. it is itself */
            break;
        room[i] = (struct above){next, status.st_dev, status.st_ino};
        next = &room[i];
        char *up = file_join(path, "..");
        mem_free(path);
        path = up;
    }
    mem_free(path);
    return next;
}

/* A link that leads back up would be walked for ever, and brings one class the images of all. */
static bool is_above(const struct above *above, const struct stat *folder)
{
    for (; above; above = above->next)
        if (above->device == folder->st_dev && above->number == folder->st_ino)
            return true;
    return false;
}

static void walk_entries(struct walk *walk, const char *below, const struct listing *listing,
                         const struct above *here);

/* Every file below a class folder belongs to the class. `below`: relative to the root. */
static void walk_class(struct walk *walk, const char *below, const struct above *above)
{
    struct listing listing = {NULL, 0, 0};
    struct stat status;
    char *folder = file_join(walk->source->root, below);
    if (stat(folder, &status) != 0 || list(folder, &listing) != ERR_OK)
        import_report_skip(walk->report, SKIP_UNREADABLE, below, "a folder that cannot be listed");
    else if (is_above(above, &status))
        import_report_skip(walk->report, SKIP_MISPLACED, below, "a link to a folder it lies in");
    else
        walk_entries(walk, below, &listing, &(struct above){above, status.st_dev, status.st_ino});
    mem_free(folder);
    listing_fini(&listing);
}

static void walk_entries(struct walk *walk, const char *below, const struct listing *listing,
                         const struct above *here)
{
    for (size_t i = 0; i < listing->count; i++) {
        char *name = join(below, listing->names[i]);
        char *path = file_join(walk->source->root, name);
        if (file_is_folder(path))
            walk_class(walk, name, here);
        else
            source_add_item(walk->source, name, walk->label);
        mem_free(path);
        mem_free(name);
    }
}

static int compare_items(const void *left, const void *right)
{
    return strcmp(((const struct source_item *)left)->name,
                  ((const struct source_item *)right)->name);
}

static int32_t find_class(const struct source *source, const char *name)
{
    for (int i = 0; i < source->classes; i++)
        if (strcmp(source->class_names[i], name) == 0)
            return i;
    return -1;
}

/* One split: `below` is "" or "train". The training split makes the classes. */
static enum err walk_split(struct walk *walk, const char *below, bool makes_classes)
{
    enum err err = ERR_OK;
    struct source *source = walk->source;
    struct listing listing = {NULL, 0, 0};
    char *folder = join(source->root, below), *path = NULL, *name = NULL;
    size_t first = source->item_count;
    struct above root_room[MOST_ABOVE], split_room[MOST_ABOVE];
    const struct above *above = stand_above(source->root, NULL, root_room);
    above = stand_above(folder, above, split_room);
    TRY(list(below[0] ? folder : source->root, &listing));
    for (size_t i = 0; i < listing.count; i++) {
        mem_free(name);
        mem_free(path);
        name = join(below, listing.names[i]);
        path = file_join(source->root, name);
        if (!file_is_folder(path)) {
            import_report_skip(walk->report, SKIP_MISPLACED, name, "a file outside class folders");
            continue;
        }
        if (makes_classes)
            TRY(source_add_class(source, listing.names[i]));
        walk->label = find_class(source, listing.names[i]);
        if (walk->label < 0)
            import_report_skip(walk->report, SKIP_MISPLACED, name,
                               "a class without training images");
        else
            walk_class(walk, name, above);
    }
    if (source->item_count > first)
        qsort(source->items + first, source->item_count - first, sizeof *source->items,
              compare_items);
out:
    mem_free(name);
    mem_free(path);
    mem_free(folder);
    listing_fini(&listing);
    return err;
}

static enum err has_folders(const char *folder, bool *found)
{
    enum err err = ERR_OK;
    struct listing listing = {NULL, 0, 0};
    *found = false;
    if (!file_is_folder(folder))
        return ERR_OK;
    TRY(list(folder, &listing));
    for (size_t i = 0; i < listing.count && !*found; i++) {
        char *path = file_join(folder, listing.names[i]);
        *found = file_is_folder(path);
        mem_free(path);
    }
out:
    listing_fini(&listing);
    return err;
}

static const char *const test_folders[] = {"test", "val", "valid", "validation"};

/* train/ with class folders in it decides; otherwise "train" may well be a class of vehicles. */
static enum err walk_splits(struct walk *walk)
{
    enum err err = ERR_OK;
    struct source *source = walk->source;
    struct listing listing = {NULL, 0, 0};
    const char *test = NULL;
    TRY(walk_split(walk, "train", true));
    source->train_count = (uint32_t)source->item_count;
    for (size_t i = 0; i < sizeof test_folders / sizeof *test_folders && !test; i++) {
        char *path = file_join(source->root, test_folders[i]);
        test = file_is_folder(path) ? test_folders[i] : NULL;
        mem_free(path);
    }
    if (test)
        TRY(walk_split(walk, test, false));
    TRY(list(source->root, &listing));
    for (size_t i = 0; i < listing.count; i++)
        if (strcmp(listing.names[i], "train") != 0 &&
            (!test || strcmp(listing.names[i], test) != 0))
            import_report_skip(walk->report, SKIP_MISPLACED, listing.names[i],
                               "beside train/ and the test images");
out:
    listing_fini(&listing);
    return err;
}

enum err source_open_folder(const struct import_cfg *cfg, struct import_report *report,
                            struct source *source)
{
    enum err err = ERR_OK;
    struct walk walk = {.source = source, .report = report};
    source->root = mem_string(cfg->sources[0]);
    bool is_split = false;
    char *train = file_join(source->root, "train");
    TRY(has_folders(train, &is_split));
    if (is_split) {
        TRY(walk_splits(&walk));
    } else {
        TRY(walk_split(&walk, "", true));
        source->train_count = (uint32_t)source->item_count;
    }
    source->test_count = (uint32_t)(source->item_count - source->train_count);
    if (source->classes == 0 || source->train_count == 0)
        TRY(err_set(ERR_DATA,
                    "%s holds neither class folders with images nor IDX files (such as "
                    "train-images-idx3-ubyte.gz)",
                    source->root));
out:
    mem_free(train);
    return err;
}
