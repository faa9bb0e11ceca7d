#include "trainer/data/import_place.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/data/dataset.h"
#include "trainer/data/dataset_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err failed(const char *verb, const char *path)
{
    enum err code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
    return err_set(code, "cannot %s %s: %s", verb, path, strerror(errno));
}

/* Nothing but an empty folder, or a dataset that may be replaced, is in the way. */
static enum err check_destination(const char *path, enum place_mode mode, bool *replaces)
{
    enum err err = ERR_OK;
    struct dataset *old = NULL;
    *replaces = false;
    if (!file_exists(path) || rmdir(path) == 0) /* an empty folder is as good as none */
        return ERR_OK;
    if (mode == PLACE_NEW)
        TRY(err_set(ERR_CONFIG, "%s exists; --force replaces a dataset", path));
    if (dataset_open(path, &old) != ERR_OK) /* never remove what somebody else put there */
        TRY(err_set(ERR_CONFIG, "%s exists and is not a sound dataset: remove it by hand", path));
    *replaces = true;
out:
    dataset_close(&old);
    return err;
}

/* Holding the lock of a folder that another import has meanwhile removed is worth nothing. */
static bool is_still_there(int lock, const char *path)
{
    struct stat held, named;
    return fstat(lock, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

static enum err take_lock(struct place *place)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        if (mkdir(place->beside, 0777) != 0 && errno != EEXIST)
            return failed("create", place->beside);
        place->lock = open(place->beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (place->lock < 0 && errno != ENOENT)
            return failed("open", place->beside);
        if (place->lock >= 0 && flock(place->lock, LOCK_EX | LOCK_NB) != 0) {
            close(place->lock);
            place->lock = -1;
            return err_set(ERR_AGAIN, "another import is writing %s", place->destination);
        }
        if (place->lock >= 0 && is_still_there(place->lock, place->beside))
            return ERR_OK;
        close(place->lock);
        place->lock = -1;
    }
    return err_set(ERR_AGAIN, "%s keeps being removed", place->beside);
}

static enum err make_parent(const char *path)
{
    enum err err = ERR_OK;
    char *parent = mem_string(path), *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        TRY(file_make_folders(parent));
    }
out:
    mem_free(parent);
    return err;
}

enum err place_open(const char *destination, enum place_mode mode, struct place *place)
{
    enum err err = ERR_OK;
    char name[4096];
    memset(place, 0, sizeof *place);
    place->lock = -1;
    place->destination = file_without_slash(destination);
    if (place->destination[0] == '\0' || strcmp(place->destination, "/") == 0)
        TRY(err_set(ERR_CONFIG, "\"%s\" is no place for a dataset: name a folder", destination));
    if (snprintf(name, sizeof name, "%s" DATASET_BESIDE, place->destination) >= (int)sizeof name)
        TRY(err_set(ERR_CONFIG, "the destination's path is too long"));
    place->beside = mem_string(name);
    place->dataset = file_join(place->beside, DATASET_IMPORTED);
    TRY(check_destination(place->destination, mode, &place->replaces));
    TRY(make_parent(place->destination));
    TRY(take_lock(place));
    TRY(folder_recover(place->dataset, place->destination));
    TRY(check_destination(place->destination, mode, &place->replaces)); /* as it is now */
    TRY(place_clear(place));
out:
    if (err != ERR_OK)
        place_close(place);
    return err;
}

enum err place_clear(struct place *place)
{
    return file_remove_folder(place->dataset);
}

enum err place_commit(struct place *place)
{
    enum err err = ERR_OK;
    TRY(FAULT("import.rename"));
    if (!place->replaces && file_exists(place->destination))
        TRY(err_set(ERR_CONFIG, "%s was made meanwhile; --force replaces a dataset",
                    place->destination));
    TRY(folder_replace(place->dataset, place->destination));
out:
    return err;
}

void place_close(struct place *place)
{
    bool is_kept = place->dataset && folder_is_half_replaced(place->dataset, place->destination);
    if (is_kept)
        log_warn("kept=%s reason=\"%s could not be put in its place\"", place->beside,
                 place->destination);
    if (place->beside && place->lock >= 0) {
        if (!is_kept && file_remove_folder(place->beside) != ERR_OK)
            log_warn("leftover=%s reason=\"%s\"", place->beside, err_text());
        close(place->lock);
    }
    mem_free(place->destination);
    mem_free(place->beside);
    mem_free(place->dataset);
    memset(place, 0, sizeof *place);
    place->lock = -1;
}
