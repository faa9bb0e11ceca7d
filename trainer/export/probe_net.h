/* The shape that probes are variants of (probe.h), and the network of a variant. Pure. */
#ifndef TRAINER_EXPORT_PROBE_NET_H
#define TRAINER_EXPORT_PROBE_NET_H

#include "trainer/export/folded.h"

/* Stem, an inverted bottleneck with its shortcut, head, pool, logits. */
struct probe_net {
    int side, stem_kernel, stem_stride;
    int width, expanded, head, outputs;
    int head_side, kernel, stride; /* the head's kernel; the depthwise convolution's */
    enum act act;
    bool has_se;
};

/* Weights are drawn, always the same. channels: of the image, 1 or 3. folded_fini() frees it. */
void probe_net_fold(const struct probe_net *net, int channels, bool is_bgr, struct folded *folded);

#endif
