/* Files in a camera's memory, by GenICam's file access nodes, in the order that the maker's own
 * example goes through: an old file is deleted first, a Delete or an Open that fails is tried again
 * behind a Close of every file (somebody left one open), blocks are filled up to words of 4 bytes
 * with 255. While a file is open the camera takes no pictures. Changes FileSelector,
 * FileOperationSelector, FileOpenMode, FileAccessLength and FileAccessOffset: found_state.h has
 * noted them before. One thread. */
#ifndef CAMERA_FILE_ACCESS_H
#define CAMERA_FILE_ACCESS_H

#include "camera/camera.h"
#include <signal.h>

#define CAMERA_FILE_NETWORK "InferenceNetwork"
#define CAMERA_FILE_IMAGE   "InjectedImage"

enum camera_memory {
    CAMERA_MEMORY_ANY,  /* the file has one place */
    CAMERA_MEMORY_DDR,  /* quick, gone without power */
    CAMERA_MEMORY_FLASH /* slow, stays */
};

struct camera_file { /* borrowed */
    struct camera *camera;
    const char *name;                  /* as FileSelector calls it */
    const volatile sig_atomic_t *stop; /* not 0: give up, ERR_INTERRUPTED; NULL: never */
    void (*progress)(size_t done, size_t all, void *own); /* bytes; NULL: nobody */
    void *own;
};

/* Whatever is open; fine where nothing is. FileSelector stands anywhere afterwards. Errors: that
 * the camera is away. */
MUST_CHECK enum err camera_file_close_all(struct camera *camera);
/* 0: there is none. */
MUST_CHECK enum err camera_file_size(const struct camera_file *file, size_t *size_bytes);
/* Fine where there is none. */
MUST_CHECK enum err camera_file_delete(const struct camera_file *file);
/* Replaces what is there. After an error or a stop nothing is left of it, where the camera still
 * answers. ERR_FAILED with the block at which it was refused, and the cure. */
MUST_CHECK enum err camera_file_write(const struct camera_file *file, enum camera_memory memory,
                                      const void *bytes, size_t size_bytes);
/* *memory: what FileWriteToFlash says while it is open; CAMERA_MEMORY_ANY: nothing. *bytes: returns
 * owned. ERR_FAILED: longer than the limit, or the camera does not give it. */
MUST_CHECK enum err camera_file_read(const struct camera_file *file, size_t limit_bytes,
                                     char **bytes, size_t *size_bytes, enum camera_memory *memory);

#endif
