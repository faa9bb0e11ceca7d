/* A Firefly DL in memory, for tests of what is done over camera/camera.h: its nodes, its files, and
 * frames whose results a test gives. What goes wrong, a test asks for in `fault`. */
#ifndef TESTS_CAMERA_MEMORY_CAMERA_H
#define TESTS_CAMERA_MEMORY_CAMERA_H

#include "camera/camera.h"

enum { MEMORY_NODES = 80, MEMORY_SELECTED = 8, MEMORY_BLOCK = 64 };

struct memory_node {
    const char *name, *display, *entries;        /* entries: "Off On" of an enumeration */
    const char *selector;                        /* NULL: one value */
    bool is_fixed;                               /* read only */
    struct camera_value values[MEMORY_SELECTED]; /* by the selector's entry */
};

struct memory_file {
    uint8_t *bytes;
    size_t size;
    bool is_flash;
};

struct memory_faults {
    const char *stuck;   /* a node that keeps its value */
    const char *refused; /* an operation on files that fails: "Write" */
    size_t refused_from; /* ... from this byte on */
    int opens_refused;   /* so many Opens */
    size_t moves_most;   /* bytes of an operation; 0: all */
    int away_after;      /* calls that change something; 0: never */
    bool is_late;        /* the last one before it is away was done, and not answered */
    bool never_ready;    /* no frame comes */
    int lost_every, stray_every, garbled_every, timeless_every,
        torn_every; /* each n-th frame; 0: none */
};

struct memory_camera {
    struct camera camera; /* first */
    struct memory_node nodes[MEMORY_NODES];
    int count;
    struct memory_file files[2]; /* InferenceNetwork, InjectedImage */
    uint8_t buffer[MEMORY_BLOCK];
    struct memory_file *open; /* one of them; NULL: none */
    bool is_started, is_away;
    int changes, frames; /* calls that changed something; frames of this start */
    int starts;
    struct memory_faults fault;
    double latency_ms; /* InferenceTime of the k-th frame is this + 0.01 k */
    /* What the network says of the image that is injected. */
    void (*infer)(const uint8_t *image, size_t size, int64_t *result, double *confidence);
};

/* model: "Firefly FFY-U3-16S2M-DL" */
void memory_camera_open(struct memory_camera *memory, const char *model);
void memory_camera_close(struct memory_camera *memory);
/* The value as it is, for the selector as it stands. */
struct camera_value *memory_value(struct memory_camera *memory, const char *node);
/* Takes a node away, as on another firmware or another camera. */
void memory_camera_remove(struct memory_camera *memory, const char *node);
/* All values of all nodes and the files, as one text. Returns owned. */
char *memory_camera_dump(const struct memory_camera *memory);

#endif
