#include "kernels/device_module.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/module.h"
#include "base/text.h"
#include <string.h>

#define FUNCTION "glowworm_device_module"

typedef const struct device_module *module_function(void);

static enum err find(const char *name, char **path)
{
    struct text file, tried;
    text_init(&file);
    text_init(&tried);
    text_add(&file, "glowworm-device-%s.so", name);
    char *found = module_find(text_get(&file), "GLOWWORM_DEVICES", &tried);
    enum err err = ERR_OK;
    if (found)
        *path = found;
    else
        err = err_set(ERR_UNAVAILABLE,
                      "there is no device \"%s\": auto and cpu are built in, and no %s lies in %s; "
                      "install that module, or name its folder in GLOWWORM_DEVICES",
                      name, text_get(&file), text_get(&tried));
    text_fini(&file);
    text_fini(&tried);
    return err;
}

static enum err check(const char *path, const char *name, const struct device_module *module)
{
    if (!module)
        return err_set(ERR_UNAVAILABLE, "%s gives no device; rebuild or remove it", path);
    if (module->abi != DEVICE_ABI) /* nothing else of it may be looked at */
        return err_set(ERR_UNAVAILABLE,
                       "%s was built for ABI %#x of devices, this program has %#x; install both "
                       "from one build",
                       path, (unsigned)module->abi, (unsigned)DEVICE_ABI);
    if (!module->open || !module->name)
        return err_set(ERR_UNAVAILABLE, "%s cannot open a device; rebuild or remove it", path);
    if (strcmp(module->name, name) != 0)
        return err_set(ERR_UNAVAILABLE,
                       "%s is the module of device \"%s\", not of \"%s\"; rename it to "
                       "glowworm-device-%s.so",
                       path, module->name, name, module->name);
    return ERR_OK;
}

static enum err load(const char *path, const char *name, const struct device_module **module)
{
    enum err err = ERR_OK;
    module_function *function = NULL;
    void *handle = NULL, *symbol = NULL;
    struct module_cfg cfg = {.path = path,
                             .what = "device",
                             .function = FUNCTION,
                             .libraries = "install the libraries it needs, or a module built with "
                                          "this program"};
    TRY(module_load(&cfg, &handle, &symbol));
    *(void **)(void *)&function = symbol; /* as POSIX has it */
    *module = function();
    TRY(check(path, name, *module));
out:
    if (err != ERR_OK)
        module_unload(handle);
    return err;
}

/* *path: returns owned, after an error too. */
static enum err find_module(const char *name, char **path, const struct device_module **module)
{
    enum err err = ERR_OK;
    if (!file_is_name(name))
        TRY(err_set(ERR_UNAVAILABLE,
                    "\"%s\" is no device's name: auto, cpu or a module's, of letters, digits, - "
                    "and _",
                    name));
    TRY(find(name, path));
    TRY(load(*path, name, module));
out:
    return err;
}

enum err device_module_survey(const char *name, device_found_fn *found, void *own)
{
    enum err err = ERR_OK;
    const struct device_module *module = NULL;
    char *path = NULL;
    TRY(find_module(name, &path, &module));
    if (module->survey)
        module->survey(found, own);
out:
    mem_free(path);
    return err;
}

size_t device_module_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload)
{
    const struct device_module *module = NULL;
    char *path = NULL;
    size_t size_bytes = 0;
    if (find_module(cfg->name, &path, &module) == ERR_OK && module->scratch_bytes)
        size_bytes = module->scratch_bytes(cfg, workload);
    mem_free(path);
    return size_bytes;
}

enum err device_module_cards(const char *name, struct device_cards *cards)
{
    enum err err = ERR_OK;
    const struct device_module *module = NULL;
    char *path = NULL;
    TRY(find_module(name, &path, &module));
    if (!module->cards)
        TRY(err_set(ERR_UNAVAILABLE, "%s says nothing of its cards", path));
    TRY(module->cards(cards));
out:
    mem_free(path);
    return err;
}

enum err device_module_open(const struct device_cfg *cfg, struct device **device)
{
    enum err err = ERR_OK;
    const struct device_module *module = NULL;
    struct device *opened = NULL;
    char *path = NULL;
    TRY(find_module(cfg->name, &path, &module));
    err = module->open(cfg, &opened);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    if (!opened || !opened->ops)
        TRY(err_set(ERR_UNAVAILABLE, "%s opened no device; rebuild or remove it", path));
    opened->module = module;
    *device = opened;
out:
    mem_free(path);
    return err;
}
