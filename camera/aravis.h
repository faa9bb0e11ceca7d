/* Inside of the module glowworm-camera-aravis.so, the only place that knows Aravis: aravis.c finds
 * and opens, aravis_nodes.c reads and writes nodes, aravis_stream.c takes frames. */
#ifndef CAMERA_ARAVIS_H
#define CAMERA_ARAVIS_H

#include "camera/camera_module.h"
#include <arv.h>

struct aravis_camera {
    struct camera camera; /* first */
    ArvDevice *device;
    ArvCamera *handle;
    ArvStream *stream; /* NULL: stopped */
    ArvChunkParser *parser;
    gint is_lost; /* set by Aravis's thread, atomically */
};

static inline struct aravis_camera *aravis_of(struct camera *camera)
{
    return (struct aravis_camera *)(void *)camera;
}

/* Takes the error, NULL for none: ERR_OK, ERR_PEER where the camera is away, else ERR_FAILED. */
MUST_CHECK enum err aravis_end(struct aravis_camera *camera, GError *error);

bool aravis_has(struct camera *camera, const char *node);
bool aravis_is_writable(struct camera *camera, const char *node);
enum err aravis_find(struct camera *camera, const char *display, char node[CAMERA_TEXT]);
enum err aravis_entry(struct camera *camera, const char *node, int index, char name[CAMERA_TEXT]);
enum err aravis_get(struct camera *camera, const char *node, struct camera_value *value);
enum err aravis_set(struct camera *camera, const char *node, const struct camera_value *value);
enum err aravis_execute(struct camera *camera, const char *node);
enum err aravis_register_size(struct camera *camera, const char *node, size_t *size_bytes);
enum err aravis_read_register(struct camera *camera, const char *node, void *bytes,
                              size_t size_bytes);
enum err aravis_write_register(struct camera *camera, const char *node, const void *bytes,
                               size_t size_bytes);
enum err aravis_start(struct camera *camera);
enum err aravis_stop(struct camera *camera);
enum err aravis_next_frame(struct camera *camera, double seconds, struct camera_frame *frame);

#endif
