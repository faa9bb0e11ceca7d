#include "base/module.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The file in one folder; NULL when it is not there, and the folder is noted. Returns owned. */
static char *try_folder(const char *folder, const char *file, struct text *tried)
{
    char *path = file_join(folder, file);
    if (file_exists(path))
        return path;
    text_add(tried, "%s%s", tried->size ? ", " : "", folder);
    mem_free(path);
    return NULL;
}

/* Those of the environment, in order. */
static char *find_named(const char *file, const char *environment, struct text *tried)
{
    const char *list = getenv(environment);
    char *copy = mem_string(list ? list : ""), *rest = NULL, *found = NULL;
    for (char *folder = strtok_r(copy, ":", &rest); folder && !found;
         folder = strtok_r(NULL, ":", &rest))
        found = try_folder(folder, file, tried);
    mem_free(copy);
    return found;
}

/* INSTALLED_MODULES is the way from the folder of the programs to that of the modules, wherever
 * both were put together: the build says it. */
static char *find_installed(const char *file, struct text *tried)
{
    char program[PATH_MAX] = "";
    enum err err = program_path(program, sizeof program);
    char *slash = strrchr(program, '/');
    if (err != ERR_OK || !slash)
        return NULL;
    *slash = 0;
    char *folder = file_join(program, INSTALLED_MODULES);
    char *found = try_folder(folder, file, tried);
    mem_free(folder);
    return found;
}

char *module_find(const char *file, const char *environment, struct text *tried)
{
    char *found = find_named(file, environment, tried);
    return found ? found : find_installed(file, tried);
}

enum err module_load(const struct module_cfg *cfg, void **handle, void **function)
{
    void *loaded = dlopen(cfg->path, RTLD_NOW | RTLD_LOCAL);
    if (!loaded)
        return err_set(ERR_UNAVAILABLE, "%s module cannot be loaded: %s; %s", cfg->what, dlerror(),
                       cfg->libraries);
    void *symbol = dlsym(loaded, cfg->function);
    if (!symbol) {
        dlclose(loaded);
        return err_set(ERR_UNAVAILABLE, "%s is no %s module: it has no function %s; remove it",
                       cfg->path, cfg->what, cfg->function);
    }
    *handle = loaded;
    *function = symbol;
    return ERR_OK;
}

void module_unload(void *handle)
{
    if (handle)
        dlclose(handle);
}
