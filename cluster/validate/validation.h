/* What `glowworm validate` finds out about a bundle on a camera: the images' answers there beside
 * those of the emulation of its files, latencies, and what that means. How it comes about:
 * validation_run.h; how it is told: validation_text.h. One thread. */
#ifndef CLUSTER_VALIDATE_VALIDATION_H
#define CLUSTER_VALIDATE_VALIDATION_H

#include "base/hash.h"
#include "camera/deployment.h"
#include "camera/measure.h"
#include "camera/pass_rule.h"
#include "cluster/check/check.h"

struct validation_cfg { /* borrowed */
    const char *bundle; /* the folder */
    const char *run;    /* whose hold-out images; NULL: the one the bundle lies in */
    const char *id;     /* of the camera */
    bool is_simulated;  /* takes the exported files, not the maker's graph */
    int images;
    double budget_ms; /* 0: that of the bundle's target, if it has one */
    enum camera_memory memory;
    enum found_network existing;
    const char *state;    /* folder of found states */
    double frame_seconds; /* how long a frame is waited for; 0: by what is predicted */
    const volatile sig_atomic_t *stop;
    /* what: "uploading", "measuring"; NULL: nobody */
    void (*progress)(const char *what, size_t done, size_t all);
};

struct validation {
    struct validation_cfg cfg;
    struct bundle_check check; /* the bundle, opened */
    struct {                   /* what the camera is given */
        const char *name;      /* "firefly.graph", "network.pb" */
        char *bytes;
        size_t size;
        struct hash hash;
    } file;
    struct firefly_network network;
    struct validated_image *images; /* (check.images.count) */
    struct camera_identity camera;
    struct measured measured;
    bool is_judged; /* figures and verdict hold */
    struct pass_figures figures;
    struct pass_verdict verdict;
};

void validation_fini(struct validation *validation); /* accepts a zeroed one */

#endif
