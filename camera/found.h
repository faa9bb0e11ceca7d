/* What a camera was like: plain data. Who notes it and puts it back: found_state.h; as text:
 * found_json.h. */
#ifndef CAMERA_FOUND_H
#define CAMERA_FOUND_H

#include "base/hash.h"
#include "camera/file_access.h"

enum { FOUND_NODES = 128 };
#define FOUND_MOST_NETWORK ((size_t)320 << 20) /* bytes of a network that is kept */

struct found_node {
    char node[CAMERA_TEXT];
    struct camera_value value;
    char selector[CAMERA_TEXT]; /* "": the node has one value only */
    struct camera_value entry;  /* of the selector, to which the value belongs */
};

struct found_state {
    char *folder;
    struct camera_identity camera;
    struct found_node nodes[FOUND_NODES]; /* in the order in which they were noted */
    int count;
    bool network_stays;  /* ours passed, and is to stay where it is */
    bool has_used_files; /* one may be open still */
    bool is_network_ours,
        is_image_ours; /* what lies in the camera's files is ours: to be deleted */
    bool has_kept;     /* its network is kept: found_state_kept() */
    struct hash kept_hash;
    enum camera_memory kept_memory;
};

#endif
