/* What a set-up camera answers to injected images, and how long it takes. Frames that are lost, or
 * that carry another frame's result, are left out and waited for again, a bounded number of times.
 * One thread. */
#ifndef CAMERA_MEASURE_H
#define CAMERA_MEASURE_H

#include "camera/firefly.h"

enum {
    MEASURE_WARM_UPS = 10, /* frames before a latency counts */
    MEASURE_LATENCIES = 50,
    MEASURE_SETTLE =
        1,             /* frames of each start that are left out: the image before may be in them */
    MEASURE_TRIES = 20 /* frames in a row that are of no use, before it is given up */
};

struct measure_cfg { /* borrowed */
    const struct firefly *firefly;
    struct found_state *found;
    int images, outputs;
    double frame_seconds; /* how long a frame is waited for */
    /* Image `index` as the sensor would give it: words of 16 bits, little-endian, 10 bits used.
     * *bytes: borrowed until the next call. */
    enum err (*image)(int index, const void **bytes, size_t *size_bytes, void *own);
    void (*progress)(int done, int all, void *own); /* images; NULL: nobody */
    void *own;
    const volatile sig_atomic_t *stop; /* not 0: ERR_INTERRUPTED; NULL: never */
};

struct measured_image {
    int64_t result; /* of its first frame, like the next */
    double confidence;
    bool is_steady; /* each of its frames said the same */
    bool has_one_class;
    double least_confidence, most_confidence; /* of its frames */
};

struct measured {
    struct measured_image *images; /* (images) */
    double *latencies_ms;          /* (latency_count) behind the warm-ups */
    int latency_count;
    int frames;                /* that were waited for, of use or not */
    int lost, strays, garbled; /* frames: not whole or not come; of another frame; out of range */
};

/* ERR_FAILED: no frame of use came, with what they were and the cure. The caller calls
 * measured_fini() whatever happens. */
MUST_CHECK enum err measure_run(const struct measure_cfg *cfg, struct measured *measured);
void measured_fini(struct measured *measured); /* accepts a zeroed one */

#endif
