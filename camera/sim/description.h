/* The camera's description of itself in GenICam's XML, made from the rows of the nodes and chunks,
 * so that no description can disagree with the registers. Pure. */
#ifndef CAMERA_SIM_DESCRIPTION_H
#define CAMERA_SIM_DESCRIPTION_H

#include "base/text.h"
#include "camera/sim/node.h"

/* Appends it. */
void description_write(enum camera_model model, struct text *xml);

#endif
