/* The way to real cameras: a shared object glowworm-camera-aravis.so, so that nothing else of ours
 * links Aravis or needs it. It lies where base/module.h looks, the variable is GLOWWORM_CAMERAS. It
 * exports one function:
 *
 *     const struct camera_module *glowworm_camera_module(void);
 *
 * and takes base/err.h, base/mem.h and camera_take_text() from the program
 * (camera/module_symbols.list). One thread. */
#ifndef CAMERA_CAMERA_MODULE_H
#define CAMERA_CAMERA_MODULE_H

#include "camera/camera.h"

/* Raised by hand whenever what a module sees changes its meaning: camera.h, this page, the headers
 * of base named above. */
enum { CAMERA_BORDER = 1 };
#define CAMERA_ABI                                                                                 \
    ((uint32_t)CAMERA_BORDER << 20 |                                                               \
     (uint32_t)(sizeof(struct camera_ops) + sizeof(struct camera_value) +                          \
                sizeof(struct camera_frame) + sizeof(struct camera_identity)))

struct camera_module {
    uint32_t abi; /* CAMERA_ABI; first, whatever else changes */
    /* What is there to be opened, on every bus and network. */
    MUST_CHECK enum err (*list)(struct camera_list *list);
    /* By id, serial number or address. ERR_NOT_FOUND; ERR_AGAIN: another program has it;
     * ERR_UNAVAILABLE: no permission. *camera: returns owned (camera_close). */
    MUST_CHECK enum err (*open)(const char *id, struct camera **camera);
};

#define CAMERA_MODULE_EXPORT __attribute__((visibility("default")))
CAMERA_MODULE_EXPORT const struct camera_module *glowworm_camera_module(void);

/* ERR_UNAVAILABLE with what is missing and the cure. *module: for ever. */
MUST_CHECK enum err camera_module_open(const struct camera_module **module);

#endif
