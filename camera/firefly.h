/* The Firefly DL among cameras: which nodes it has, what tells it from others, and how a network
 * is set up on it. Names are those of the maker's example; of some only the name that a viewer
 * shows is documented, and the node is looked for by that (docs/firefly.md). One thread. */
#ifndef CAMERA_FIREFLY_H
#define CAMERA_FIREFLY_H

#include "camera/found_state.h"

enum firefly_node { /* whose names are not certain */
                    FIREFLY_CHANNEL_SELECTOR,
                    FIREFLY_MAX_NETWORK_SIZE,
                    FIREFLY_NETWORK_STATUS,
                    FIREFLY_NETWORK_SIZE,
                    FIREFLY_INPUT_WIDTH,
                    FIREFLY_INPUT_HEIGHT,
                    FIREFLY_INPUT_CHANNELS,
                    FIREFLY_OUTPUT_CLASSES,
                    FIREFLY_NODES
};

struct firefly {
    struct camera *camera; /* borrowed */
    struct camera_identity identity;
    char nodes[FIREFLY_NODES][CAMERA_TEXT]; /* "": this firmware has none */
};

enum { FIREFLY_CHANNELS = 3 };

struct firefly_network { /* borrowed; what the camera is to run */
    const void *bytes;
    size_t size_bytes;
    int width, height, channels, outputs;
    const char *pixel_format;                               /* "Mono8", "BGR8" */
    double mean[FIREFLY_CHANNELS], scale[FIREFLY_CHANNELS]; /* in the order of the channels */
};

/* Reads who it is and finds its nodes. ERR_CONFIG: it is no Firefly DL; nothing was changed. */
MUST_CHECK enum err firefly_open(struct camera *camera, const char *id, struct firefly *firefly);
/* ERR_CONFIG: this model's images are not what the network takes (mono, colour), or its memory is
 * too small. */
MUST_CHECK enum err firefly_check_network(const struct firefly *firefly,
                                          const struct firefly_network *network);

/* Type, preprocessing and InferenceEnable of a network that was uploaded. */
MUST_CHECK enum err firefly_set_up(const struct firefly *firefly, struct found_state *found,
                                   const struct firefly_network *network);
/* Holds what the camera says of its network to ours. ERR_FAILED names each property that
 * differs. */
MUST_CHECK enum err firefly_verify(const struct firefly *firefly,
                                   const struct firefly_network *network);
/* Pictures come from the injected image, of the network's side, unchanged on their way; a frame is
 * sent when its inference is done, with the result. */
MUST_CHECK enum err firefly_set_up_injection(const struct firefly *firefly,
                                             struct found_state *found,
                                             const struct firefly_network *network);

#endif
