/* What a bundle says to a person who has never seen Glowworm: README.txt, with the steps to the
 * camera and the network's own numbers, and convert.sh. Pure. */
#ifndef TRAINER_EXPORT_BUNDLE_README_H
#define TRAINER_EXPORT_BUNDLE_README_H

#include "base/text.h"
#include "trainer/export/bundle_cfg.h"

struct bundle_region { /* of the sensor, in pixels; width 0: not known */
    int width, height, x, y;
};

struct bundle_readme { /* borrowed */
    const struct bundle_cfg *cfg;
    const char *pixel_format;
    bool has_tensorflow, has_caffe; /* formats that were written */
    struct bundle_region region;    /* that the network is to see */
};

/* With Windows' line ends. */
void bundle_readme_write(const struct bundle_readme *readme, struct text *text);
/* For a shell; one of the formats was written. */
void bundle_convert_script(const struct bundle_readme *readme, struct text *script);

#endif
