/* Where the files live that a campaign names: spaces and devices, by path or by name. */
#ifndef TRAINER_SPEC_LOOKUP_H
#define TRAINER_SPEC_LOOKUP_H

#include "base/err.h"
#include <stddef.h>

/* Finds a file. A path ("configs/spaces/own.yaml") is tried as it is, then beside the file that
 * names it, then in the program's data folder; a bare name ("firefly-dl-mono") likewise as
 * configs/<kind>/<name>.yaml, and as <name>.yaml beside. kind: "spaces", "devices", "sites".
 * beside: the naming file, or NULL. The data folder is $GLOWWORM_DATA, or share/glowworm beside the
 * bin/ that the program was installed in, or the nearest folder above the program that has
 * configs/. ERR_NOT_FOUND lists where it looked; a place whose path is longer than `room` is passed
 * over. */
MUST_CHECK enum err lookup_find(const char *name, const char *kind, const char *beside, char *found,
                                size_t room);

#endif
