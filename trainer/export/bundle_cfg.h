/* What a bundle is made of: plain data for those who write its parts (bundle.h, bundle_readme.h).
 */
#ifndef TRAINER_EXPORT_BUNDLE_CFG_H
#define TRAINER_EXPORT_BUNDLE_CFG_H

#include "base/fence.h"
#include "trainer/data/dataset.h"
#include "trainer/export/folded.h"
#include "trainer/spec/target.h"

/* Unrounded, and with values in fp16 and sums in fp32, as trainer/emulator computes them. */
#define BUNDLE_EXPECTED 2

struct bundle_sample {  /* one image as the network takes it */
    struct image image; /* (R,R,C), 8 bits */
    uint32_t record;
    const float *logits; /* (classes) what the supernet answers */
    /* (BUNDLE_EXPECTED, outputs) what the camera is to answer to it as a raw frame (raw_frame.h):
     * probabilities. NULL: nobody can tell, and no frame is written. */
    const float *expected;
};

struct bundle_cfg {     /* all borrowed */
    const char *folder; /* made anew: bundles/<target>; with or without a slash behind it */
    const char *target; /* name */
    const struct camera_device *device;
    const struct folded *folded;
    const char *subnet; /* text form */
    int64_t macs, parameters;
    double latency_ms; /* predicted, where the device has a latency */
    double budget_ms;  /* what the target was searched for; 0: no bound */
    const struct dataset_info *dataset;
    enum geometry geometry; /* of the images it was trained on */
    struct {
        bool tensorflow, caffe, onnx;
    } formats; /* ONNX is always written: predict and the check read it */
    const struct bundle_sample *samples;
    int sample_count;
    enum split sample_split; /* SPLIT_TRAIN where nothing is held out */
    const char *checkpoint;  /* content hash, hex */
    struct fence fence;      /* of the run that it is of; zeroes: none */
};

#endif
