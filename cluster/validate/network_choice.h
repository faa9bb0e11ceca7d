/* Which file of a bundle a camera is given. */
#ifndef CLUSTER_VALIDATE_NETWORK_CHOICE_H
#define CLUSTER_VALIDATE_NETWORK_CHOICE_H

#include "cluster/validate/validation.h"

/* Fills validation->file. ERR_HELD: a camera takes the maker's graph only, and the bundle has none;
 * ERR_DATA, ERR_IO. */
MUST_CHECK enum err network_choose(struct validation *validation);

#endif
