/* Which part of a picture a network sees as its square: one rule for training, measuring, bundles
 * and the camera (dataset.geometry). */
#ifndef TRAINER_SPEC_GEOMETRY_H
#define TRAINER_SPEC_GEOMETRY_H

#include <stdbool.h>

enum geometry {
    GEOMETRY_CROP,    /* the largest square in its middle; what lies beside it is never looked at */
    GEOMETRY_STRETCH, /* all of it, each side scaled by itself */
    GEOMETRY_PAD,     /* all of it in its shape; the border's pixels are repeated to a square */
    GEOMETRY_COUNT
};
#define GEOMETRY_WORDS "crop|stretch|pad"

const char *geometry_name(enum geometry geometry);
/* False: no geometry is called so. */
bool geometry_parse(const char *name, enum geometry *geometry);

#endif
