/* Two views of a loop as one: what people are told goes to both, the first one first. */
#ifndef CLUSTER_VIEW_TEE_H
#define CLUSTER_VIEW_TEE_H

#include "scheduler/loop.h"

struct view_tee {
    const struct loop_view *views[2]; /* borrowed */
    struct loop_view view;            /* the loop's */
};
void view_tee_init(struct view_tee *tee, const struct loop_view *first,
                   const struct loop_view *second);

#endif
