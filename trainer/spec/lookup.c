#include "trainer/spec/lookup.h"
#include "base/file.h"
#include "base/program.h"
#include "base/text.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The folder of a path, with its slash; "" for a bare name. */
static void folder_of(const char *path, char *folder, size_t room)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(folder, room, "%.*s", slash ? (int)(slash - path + 1) : 0, path ? path : "");
}

static bool has_spaces(const char *folder)
{
    char probe[PATH_MAX + 16];
    snprintf(probe, sizeof probe, "%sconfigs/spaces", folder);
    return file_is_folder(probe);
}

/* INSTALLED_DATA is the way from the folder of the programs to that of the data, wherever both were
 * put together: the build says it. */
static bool find_installed(const char *program, char *folder, size_t room)
{
    char there[PATH_MAX + sizeof INSTALLED_DATA], real[PATH_MAX];
    folder_of(program, folder, room);
    snprintf(there, sizeof there, "%s%s", folder, INSTALLED_DATA);
    if (!realpath(there, real))
        return false;
    int size = snprintf(folder, room, "%s/", real);
    return size > 0 && (size_t)size < room && has_spaces(folder);
}

/* $GLOWWORM_DATA/, what was installed with the program, or the nearest folder above it with
 * configs/ in it; "" when there is none. */
static void data_folder(char *folder, size_t room)
{
    char program[PATH_MAX] = "";
    const char *named = getenv("GLOWWORM_DATA");
    if (named && named[0]) {
        snprintf(folder, room, "%s/", named);
        return;
    }
    if (program_path(program, sizeof program) != ERR_OK)
        program[0] = 0;
    if (find_installed(program, folder, room))
        return;
    snprintf(folder, room, "%s", program);
    for (char *slash = strrchr(folder, '/'); slash; slash = strrchr(folder, '/')) {
        slash[1] = 0;
        if (has_spaces(folder))
            return;
        slash[0] = 0;
    }
    folder[0] = 0;
}

/* One place: true when the file is there; the place is noted either way. */
static bool try_place(const char *folder, const char *name, char *found, size_t room,
                      struct text *tried)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof path || (size_t)size >= room)
        return false;
    if (file_exists(path) && !file_is_folder(path)) {
        snprintf(found, room, "%s", path);
        return true;
    }
    text_add(tried, "%s%s", tried->size ? ", " : "", path);
    return false;
}

static int is_yaml(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && strcmp(entry->d_name + size - 5, ".yaml") == 0;
}

/* What could have been named instead: the files of this kind that come with the program. */
static void add_known(const char *data, const char *kind, struct text *text)
{
    char folder[PATH_MAX + 64];
    struct dirent **entries = NULL;
    snprintf(folder, sizeof folder, "%sconfigs/%s", data, kind);
    int count = scandir(folder, &entries, is_yaml, alphasort);
    for (int i = 0; i < count; i++) {
        size_t size = strlen(entries[i]->d_name) - 5;
        text_add(text, "%s%.*s", i ? ", " : "; there are ", (int)size, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

enum err lookup_find(const char *name, const char *kind, const char *beside, char *found,
                     size_t room)
{
    enum err err = ERR_OK;
    struct text tried;
    char folders[3][PATH_MAX] = {"", "", ""}, file[PATH_MAX], bare[PATH_MAX];
    size_t size = strlen(name);
    bool is_path = strchr(name, '/') || (size > 5 && strcmp(name + size - 5, ".yaml") == 0);
    text_init(&tried);
    folder_of(beside, folders[1], sizeof folders[1]);
    data_folder(folders[2], sizeof folders[2]);
    if (is_path)
        snprintf(file, sizeof file, "%s", name);
    else
        snprintf(file, sizeof file, "configs/%s/%s.yaml", kind, name);
    snprintf(bare, sizeof bare, "%s.yaml", name);
    for (int i = 0; i < 3; i++) {
        bool is_again = i > 0 && (name[0] == '/' || folders[i][0] == 0);
        if (!is_again && try_place(folders[i], file, found, room, &tried))
            goto out;
        if (i == 1 && !is_path && folders[1][0] && try_place(folders[1], bare, found, room, &tried))
            goto out;
    }
    if (!is_path)
        add_known(folders[2], kind, &tried);
    err = err_set(ERR_NOT_FOUND, "'%s' is not there; looked for %s", name, text_get(&tried));
out:
    text_fini(&tried);
    return err;
}
