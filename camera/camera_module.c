#include "camera/camera_module.h"
#include "base/mem.h"
#include "base/module.h"

#define MODULE_FILE "glowworm-camera-aravis.so"

typedef const struct camera_module *module_function(void);

static enum err check(const char *path, const struct camera_module *module)
{
    if (!module || module->abi != CAMERA_ABI) /* nothing else of it may be looked at */
        return err_set(ERR_UNAVAILABLE,
                       "%s was built for another program than this one; install both from one "
                       "build",
                       path);
    return module->list && module->open
               ? ERR_OK
               : err_set(ERR_UNAVAILABLE, "%s opens no camera; rebuild or remove it", path);
}

static enum err load(const char *path, const struct camera_module **module)
{
    enum err err = ERR_OK;
    module_function *function = NULL;
    void *handle = NULL, *symbol = NULL;
    const struct camera_module *found = NULL;
    struct module_cfg cfg = {.path = path,
                             .what = "camera",
                             .function = "glowworm_camera_module",
                             .libraries = "install Debian's libaravis-0.8-0, or a module built "
                                          "with this program"};
    TRY(module_load(&cfg, &handle, &symbol));
    *(void **)(void *)&function = symbol; /* as POSIX has it */
    found = function();
    TRY(check(path, found));
    *module = found;
out:
    if (err != ERR_OK)
        module_unload(handle);
    return err;
}

enum err camera_module_open(const struct camera_module **module)
{
    enum err err = ERR_OK;
    struct text tried;
    text_init(&tried);
    char *path = module_find(MODULE_FILE, "GLOWWORM_CAMERAS", &tried);
    if (path)
        TRY(load(path, module));
    else
        TRY(err_set(ERR_UNAVAILABLE,
                    "no camera can be opened: no " MODULE_FILE " lies in %s. Build glowworm where "
                    "Debian's libaravis-dev is installed, or name the module's folder in "
                    "GLOWWORM_CAMERAS",
                    text_get(&tried)));
out:
    mem_free(path);
    text_fini(&tried);
    return err;
}
