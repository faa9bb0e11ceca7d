#include "base/folder.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where the old one waits while the names cannot be exchanged; returns owned. */
static char *old_of(const char *made)
{
    size_t size = strlen(made) + sizeof ".old";
    char *old = mem_alloc(size);
    snprintf(old, size, "%s.old", made);
    return old;
}

static enum err move(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        enum err code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
        return err_set(code, "cannot rename %s to %s: %s", from, to, strerror(errno));
    }
    file_sync_parent(to);
    file_sync_parent(from);
    return ERR_OK;
}

/* By way of the name `old`. */
static enum err move_in_turn(const char *made, const char *place, const char *old)
{
    enum err err = ERR_OK;
    TRY(file_remove_folder(old));
    TRY(FAULT("folder.aside"));
    TRY(move(place, old));
    err = FAULT("folder.place");
    if (err == ERR_OK)
        err = move(made, place);
    if (err != ERR_OK && rename(old, place) != 0)
        TRY(err_set(err, "%s could not take the place of %s and is kept, the old one is %s", made,
                    place, old));
out:
    return err;
}

static void remove_old(const char *old)
{
    enum err err = FAULT("folder.remove");
    if (err == ERR_OK)
        err = file_remove_folder(old);
    if (err != ERR_OK)
        log_warn("leftover=%s reason=\"%s\"", old, err_text());
}

enum err folder_replace(const char *made, const char *place)
{
    enum err err = ERR_OK;
    char *old = old_of(made);
    file_sync_folder(made);
    if (!file_exists(made)) /* nothing is moved for it */
        TRY(err_set(ERR_IO, "%s is not there any more", made));
    if (!file_exists(place)) {
        TRY(move(made, place));
    } else if (renameat2(AT_FDCWD, made, AT_FDCWD, place, RENAME_EXCHANGE) == 0) {
        file_sync_parent(place);
        file_sync_parent(made);
        remove_old(made);
    } else { /* where the exchange failed for another reason, this fails for it too */
        TRY(move_in_turn(made, place, old));
        remove_old(old);
    }
out:
    mem_free(old);
    return err;
}

bool folder_is_half_replaced(const char *made, const char *place)
{
    char *old = old_of(made);
    bool is_half = file_exists(old) && !file_exists(place);
    mem_free(old);
    return is_half;
}

enum err folder_recover(const char *made, const char *place)
{
    enum err err = ERR_OK;
    char *old = old_of(made);
    if (file_exists(old))
        rmdir(place); /* an empty folder is as good as none */
    if (folder_is_half_replaced(made, place)) {
        /* The new one was whole, or it would not have come so far. */
        TRY(move(file_exists(made) ? made : old, place));
        log_warn("recovered=%s reason=\"its replacement was stopped in the middle\"", place);
    }
    TRY(file_remove_folder(old));
out:
    mem_free(old);
    return err;
}
