/* The border to a camera: GenICam nodes by their names, and frames with what the camera inferred
 * of them. Behind it is a module (camera_module.h) that speaks GigE Vision or USB3 Vision, or a
 * table in memory (tests/camera/). Names are the camera's own ("InferenceEnable"); which of them
 * mean what stands in firefly.h.
 *
 * ERR_PEER: the camera is away (a cable, its power); nothing but camera_close() helps. ERR_FAILED:
 * it answered, and refused. A camera belongs to one thread at a time. */
#ifndef CAMERA_CAMERA_H
#define CAMERA_CAMERA_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAMERA_TEXT = 128, CAMERA_LISTED = 64 };

enum camera_kind {
    CAMERA_INTEGER,
    CAMERA_FLOAT,
    CAMERA_BOOLEAN,
    CAMERA_ENUMERATION, /* by its entry's name */
    CAMERA_STRING
};
#define CAMERA_KINDS 5

struct camera_value {
    enum camera_kind kind;
    int64_t integer; /* a boolean too: 0, 1 */
    double real;
    char text[CAMERA_TEXT];
};

struct camera_frame {
    uint64_t id;      /* of the transport: GigE Vision's go from 1 to 65535 and round again */
    bool is_whole;    /* no packet is missing */
    bool has_results; /* the three below came with it */
    int64_t frame_id; /* chunk FrameID; -1: the camera sends none */
    int64_t inference_frame_id; /* which frame was inferred */
    int64_t result;             /* class */
    double confidence;
};

struct camera_identity {  /* "" what is not known */
    char id[CAMERA_TEXT]; /* what camera_module's open() takes */
    char vendor[CAMERA_TEXT], model[CAMERA_TEXT], serial[CAMERA_TEXT], firmware[CAMERA_TEXT];
    char address[CAMERA_TEXT];
};

struct camera_list {
    int count;
    struct camera_identity cameras[CAMERA_LISTED];
};

struct camera {
    const struct camera_ops *ops; /* an implementation's struct begins with this */
};

struct camera_ops {
    void (*close)(struct camera *);
    /* Whether there is such a node, and it can be read or executed as things are. */
    bool (*has)(struct camera *, const char *node);
    bool (*is_writable)(struct camera *, const char *node);
    /* The node that a viewer shows under this name. ERR_NOT_FOUND. */
    MUST_CHECK enum err (*find)(struct camera *, const char *display, char node[CAMERA_TEXT]);
    /* The name of an enumeration's entry; ERR_NOT_FOUND behind the last. */
    MUST_CHECK enum err (*entry)(struct camera *, const char *node, int index,
                                 char name[CAMERA_TEXT]);
    MUST_CHECK enum err (*get)(struct camera *, const char *node, struct camera_value *);
    MUST_CHECK enum err (*set)(struct camera *, const char *node, const struct camera_value *);
    MUST_CHECK enum err (*execute)(struct camera *, const char *node);
    MUST_CHECK enum err (*register_size)(struct camera *, const char *node, size_t *size_bytes);
    MUST_CHECK enum err (*read_register)(struct camera *, const char *node, void *bytes,
                                         size_t size_bytes);
    MUST_CHECK enum err (*write_register)(struct camera *, const char *node, const void *bytes,
                                          size_t size_bytes);
    /* Frames are kept for next_frame() from here on; those of before are forgotten. */
    MUST_CHECK enum err (*start)(struct camera *);
    MUST_CHECK enum err (*stop)(struct camera *); /* fine where nothing was started */
    /* ERR_AGAIN: none came within so many seconds; a signal may end the wait early. */
    MUST_CHECK enum err (*next_frame)(struct camera *, double seconds, struct camera_frame *);
};

void camera_close(struct camera **camera); /* accepts NULL */

bool camera_has(struct camera *camera, const char *node);
bool camera_is_writable(struct camera *camera, const char *node);
MUST_CHECK enum err camera_get(struct camera *camera, const char *node, struct camera_value *value);
/* Writes, unless it is so already (and perhaps locked), and reads back. The value may be a number
 * of another kind than the node, where nothing is lost. ERR_FAILED, with both values, when the
 * camera keeps another one. */
MUST_CHECK enum err camera_set(struct camera *camera, const char *node,
                               const struct camera_value *value);
MUST_CHECK enum err camera_execute(struct camera *camera, const char *node);

/* The same in one word each. Getting: ERR_FAILED when the node is of another kind. */
MUST_CHECK enum err camera_set_number(struct camera *camera, const char *node, double number);
MUST_CHECK enum err camera_set_text(struct camera *camera, const char *node, const char *text);
MUST_CHECK enum err camera_set_flag(struct camera *camera, const char *node, bool is_on);
MUST_CHECK enum err camera_get_number(struct camera *camera, const char *node, double *number);
MUST_CHECK enum err camera_get_text(struct camera *camera, const char *node,
                                    char text[CAMERA_TEXT]);

/* Values of one kind and content; reals within 1e-5 of the larger, since many a node is a float. */
bool camera_value_equal(const struct camera_value *one, const struct camera_value *other);
/* "255", "true", "Classification": for sentences. */
void camera_value_text(const struct camera_value *value, char text[CAMERA_TEXT]);
/* Text that a camera sent, as values and identities hold it: cut to fit, what is no UTF-8 or a
 * control character becomes '?'. */
void camera_take_text(char text[CAMERA_TEXT], const char *from);
extern const char *const camera_kind_names[CAMERA_KINDS]; /* "integer", ... */

#endif
