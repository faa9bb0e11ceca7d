/* The network of an uploaded file: read by the readers of exported files, run by the emulator in
 * fp16. A network is made by one thread and run by one at a time. */
#ifndef CAMERA_SIM_NETWORK_H
#define CAMERA_SIM_NETWORK_H

#include "trainer/emulator/emulator.h"
#include <stddef.h>

struct network {
    struct exported net;
    struct emulator *emulator;
    struct emulation emulation;
    int classes;
    double mmacs, depthwise_mmacs; /* millions of multiply-adds; of depthwise convolutions apart */
};

struct network_answer {
    int class_index;
    double confidence;
};

/* A GraphDef, or Caffe's files (camera/network_file.h); the bytes may be freed afterwards. ERR_DATA
 * of the readers, ERR_MEMORY. *network: returns owned. */
MUST_CHECK enum err network_open(const uint8_t *bytes, size_t size_bytes,
                                 enum arithmetic arithmetic, struct network **network);
void network_close(struct network **network); /* accepts NULL */

/* image (H,W,C), normalised. */
struct network_answer network_run(struct network *network, const float *image);

#endif
