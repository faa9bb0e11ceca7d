/* Shared objects of ours that a program loads when it needs them and never unloads: devices
 * (kernels/device_module.h), cameras (camera/camera_module.h). Such a file lies in one of the
 * folders that a variable of the environment names (colons between them), or in ../lib/glowworm
 * beside the folder of the running program; the first that has it counts. Any thread. */
#ifndef BASE_MODULE_H
#define BASE_MODULE_H

#include "base/err.h"
#include "base/text.h"

/* Where the file lies: returns owned; NULL when nowhere, and the folders that were looked through
 * are appended to `tried`, commas between them. */
char *module_find(const char *file, const char *environment, struct text *tried);

struct module_cfg {        /* borrowed */
    const char *path;      /* the file */
    const char *what;      /* "device": for errors */
    const char *function;  /* that it exports, and that returns what it is */
    const char *libraries; /* how to come by what it needs: "install the libraries it needs, ..." */
};

/* Loads the file and finds its function. ERR_UNAVAILABLE with the cure. *handle: module_unload()
 * takes it where the caller refuses what the function says; otherwise it stays for ever.
 * *function: what dlsym() gives. */
MUST_CHECK enum err module_load(const struct module_cfg *cfg, void **handle, void **function);
void module_unload(void *handle); /* accepts NULL */

#endif
